'use strict';

// Loading this file changes nothing in the process: capture starts with instrument…() or initializeInterceptor(). The
// names stand here one by one so that `import { … }` finds them too.

const { ClaudeTrafficLogger, initializeInterceptor, getLogger } = require('./lib/logger.js');

module.exports = { ClaudeTrafficLogger, initializeInterceptor, getLogger };
