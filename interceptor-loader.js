'use strict';

// The door for `node --require claude-trace-native/interceptor-loader.js app.js` and for NODE_OPTIONS, which carries it
// into child processes; worker threads run it again by themselves. Configured by the environment alone.

try {
  const { getLogger, initializeInterceptor } = require('./lib/logger.js');
  // Both on the command line and in NODE_OPTIONS, from two installed copies: the first one does.
  if (getLogger() === null) initializeInterceptor();
} catch (error) {
  // The host knows nothing of us and must not fall with us.
  try {
    const reason = String(/** @type {any} */ (error)?.message ?? error).split('\n', 1)[0];
    require('node:fs').writeSync(2, `claude-trace: nothing is recorded: ${reason}\n`);
  } catch {
    // Not even stderr is left.
  }
}
