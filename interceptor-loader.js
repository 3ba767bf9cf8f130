'use strict';

// The door for `node --require claude-trace-native/interceptor-loader.js app.js` and for NODE_OPTIONS, which carries it
// into child processes; worker threads run it again by themselves. Configured by the environment alone.

try {
  const { getLogger, initializeInterceptor } = facade();
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

/**
 * A package has it in one file with all that a start needs, a checkout has not: see scripts/pack-start.js.
 * @returns {typeof import('./lib/logger.js')}
 */
function facade() {
  try {
    // @ts-ignore: only there once it is packed
    return require('./lib/start.js');
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'MODULE_NOT_FOUND') throw error;
    return require('./lib/logger.js');
  }
}
