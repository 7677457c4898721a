// Translates two sentences with the shipped checkpoint and streams the text as it becomes final.
import { free, generate } from 'shallowdeep'
import { openCheckpoint } from 'shallowdeep/node'

const model = await openCheckpoint('checkpoints/translation-de-en', { backend: 'wasm' })
for (const text of ['Der Zug kommt heute später.', 'Wir haben gestern zusammen gekocht.']) {
  process.stdout.write(`${text} -> `)
  for await (const event of generate(model, text, { policy: free(0.5) })) {
    if (event.type === 'commit') process.stdout.write(event.text)
  }
  process.stdout.write('\n')
}
model.dispose()
