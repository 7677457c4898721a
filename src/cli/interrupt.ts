// Ctrl-C: the first one asks everything to come to a good end, the second one quits at once.
import { EXIT } from './failure.js'

/** A signal that the first SIGINT or SIGTERM of the process aborts; the second one ends the process. */
export function listenForInterrupts(target: Pick<NodeJS.Process, 'on' | 'exit'>): AbortSignal {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) target.exit(EXIT.interrupted)
    controller.abort()
  }
  target.on('SIGINT', onSignal)
  target.on('SIGTERM', onSignal)
  return controller.signal
}
