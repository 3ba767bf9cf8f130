'use strict';

// Programs that use interceptors: the test writes what they do, this runs them with the package under test.

const fs = require('node:fs');
const path = require('node:path');
const { readLog } = require('./log');
const { freshFolder, loaderPath, runClient } = require('./run-client');

/** What every program can use. `ask` makes a streaming request and returns what the client received. */
const PRELUDE = `
  'use strict';
  const { initializeInterceptor, ClaudeTrafficLogger } = require(process.env.PACKAGE);
  const url = process.env.STANDIN_URL;
  const say = (value) => console.log(JSON.stringify(value));
  const body = JSON.stringify({ model: 'claude-standin', stream: true, max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] });
  async function ask(scenario = 'text', headers = {}) {
    const response = await fetch(url + '/v1/messages', { method: 'POST', body, headers: { 'x-standin': scenario, ...headers } });
    return response.text();
  }
  /** The stand-in numbers its messages. */
  const nameless = (text) => text.replace(/standin_\\d+/g, 'standin');
  /** Every record that was written waits for no more than the log's buffer. */
  async function written(logger, count) {
    for (let i = 0; i < 2000; i++) {
      if (logger.getStats().totalPairs >= count) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error('not written: ' + JSON.stringify(logger.getStats()));
  }
`;

/**
 * Runs a program to its end.
 * @param {import('./standin').Standin} standin
 * @param {string} source
 * @param {Record<string, string>} [env]
 */
async function runProgram(standin, source, env = {}) {
  const script = path.join(freshFolder(), 'program.cjs');
  fs.writeFileSync(script, `${PRELUDE}\n(async () => {${source}\n})();`);
  const outcome = await runClient(script, { env: { ...standin.env, PACKAGE: path.dirname(loaderPath()), ...env } });
  const lines = outcome.stdout.split('\n').filter((line) => line !== '');
  return {
    ...outcome,
    said: lines.map((line) => JSON.parse(line)),
    records: readLog(outcome.cwd).map(({ value }) => value),
  };
}

module.exports = { runProgram };
