'use strict';

// Preloaded behind our loader, so that its exit listener runs after the log is complete: what the recorder counted in a
// client that knows nothing of it, for the demo's summary.

const fs = require('node:fs');
const path = require('node:path');

process.once('exit', () => {
  const { getLogger } = require(path.join(__dirname, '../../index.js'));
  const stats = getLogger()?.getStats() ?? null;
  fs.writeFileSync(/** @type {string} */ (process.env.CLAUDE_TRACE_DEMO_STATS), JSON.stringify(stats));
});
