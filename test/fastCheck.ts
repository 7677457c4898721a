// Settings of all property tests. Mocha leaves out the cause of an error whose message has several lines, and fast-check
// keeps there what went wrong, so the report says it itself.
import fc from 'fast-check'

fc.configureGlobal({ includeErrorInReport: true })
