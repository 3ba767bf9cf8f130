'use strict';

// claude-trace 1.0.9 with its HTML off: there is a config field for it, but no variable.
require('../../node_modules/@mariozechner/claude-trace/dist/interceptor.js').initializeInterceptor({ enableRealTimeHTML: false });
