// Lint rules, and the direction of imports between the folders of src/ (test/architecture.test.ts checks the same table).
import tseslint from 'typescript-eslint'

/** What each folder of src/ may import from the others; what those name is allowed too. */
export const ALLOWED_IMPORTS = {
  errors: [],
  random: ['errors'],
  protobuf: [],
  config: ['errors'],
  tokenizer: ['errors'],
  metrics: ['errors', 'random'],
  calibration: ['errors', 'random', 'config'],
  decoding: ['errors', 'config', 'calibration'],
  model: ['errors', 'config', 'random'],
  onnx: ['errors', 'config', 'protobuf'],
  engines: ['decoding', 'model', 'onnx', 'protobuf'],
  checkpoint: ['errors', 'config', 'tokenizer'],
  data: ['errors', 'config', 'random', 'tokenizer', 'metrics'],
  training: ['model', 'data', 'checkpoint'],
  evaluation: ['decoding', 'data', 'metrics', 'calibration'],
  report: ['errors', 'evaluation'],
  pipeline: [
    'calibration',
    'checkpoint',
    'data',
    'decoding',
    'engines',
    'evaluation',
    'model',
    'onnx',
    'protobuf',
    'tokenizer',
    'training',
  ],
}

/** Folders that never see a tensor library. */
export const TENSOR_FREE = [
  'decoding',
  'calibration',
  'metrics',
  'tokenizer',
  'data',
  'evaluation',
  'report',
  'config',
  'protobuf',
  'onnx',
]

/** Everything that `folder` may import, what its imports name included. */
export function reachableFrom(folder) {
  const reached = new Set()
  const visit = (name) => {
    for (const next of ALLOWED_IMPORTS[name]) {
      if (!reached.has(next)) {
        reached.add(next)
        visit(next)
      }
    }
  }
  visit(folder)
  return reached
}

const folders = Object.keys(ALLOWED_IMPORTS)

const importDirection = folders.map((folder) => {
  const reachable = reachableFrom(folder)
  const forbidden = [...folders, 'cli', 'serve'].filter((name) => name !== folder && !reachable.has(name))
  const patterns = [
    {
      regex: `^(\\.\\./)+(${forbidden.join('|')})(/|\\.)`,
      message: 'See eslint.config.js for who may import whom.',
    },
  ]
  if (TENSOR_FREE.includes(folder))
    patterns.push({ group: ['@tensorflow/*'], message: 'This folder sees no tensor library.' })
  return {
    files: [`src/${folder}/**/*.ts`, `src/${folder}.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns }] },
  }
})

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'node_modules/',
      '.native/',
      'coverage/',
      'docs/api/',
      'report/',
      'runs/',
      'scripts/golden/',
      '.exp-*',
    ],
  },
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'max-params': ['error', 4],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
    },
  },
  { files: ['src/**/*.ts'], rules: { 'max-lines': ['warn', 400] } },
  {
    files: ['scripts/**', 'bench/**', 'docs/examples/**', 'eslint.config.js'],
    rules: { 'no-console': 'off' },
  },
  // Silences what tfjs prints while a backend starts.
  { files: ['src/engines/tfjs/backend.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['test/**/*.ts'],
    rules: { 'no-console': 'off', '@typescript-eslint/no-unused-expressions': 'off' },
  },
  ...importDirection,
)
