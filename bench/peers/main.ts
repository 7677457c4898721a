// `tsx bench/peers/main.ts [options]`: the benchmark of peers alone, as `npm run bench -- peers`.
process.argv.splice(2, 0, 'peers')
await import('../main.js')
