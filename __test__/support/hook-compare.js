'use strict';

// A host's code without a hook, with it, and with recorders that fail in each of their methods: the host must come to the
// same result each time.

const assert = require('node:assert/strict');
const { FakeHub } = require('./fake-hub.js');
const { digest, hostResult } = require('./host-result.js');

const FAILING = ['match', 'begin', 'chunk', 'mark', 'all'];

/**
 * @typedef {object} Scenario
 * @property {() => Promise<any>} serve starts a server with `origin` and `close()`
 * @property {(context: any) => unknown} client the host's code, given the server; its result is plain data
 * @property {number} [exchanges] how many are recorded
 * @property {(seen: any) => unknown} [verify]
 * @property {(origin: string, path: string, method: string) => boolean} [match]
 */

/**
 * @param {Scenario} scenario
 * @param {FakeHub | null} hub
 * @param {(hub: FakeHub) => any} install
 */
async function run({ serve, client, exchanges = 1 }, hub, install) {
  const server = await serve();
  const uninstall = hub === null ? () => {} : install(hub);
  try {
    const result = await hostResult(() => client({ server, origin: server.origin, port: server.port, hub }), server.origin);
    if (hub?.throwIn === '') await hub.settled(exchanges);
    return { result, server };
  } finally {
    uninstall();
    await server.close();
  }
}

/**
 * @param {(hub: FakeHub) => any} install of the hook
 * @param {Scenario} scenario
 */
async function compare(install, scenario) {
  const plain = await run(scenario, null, install);
  const hub = new FakeHub({ match: scenario.match });
  hub.throwIn = '';
  const traced = await run(scenario, hub, install);
  assert.deepEqual(traced.result, plain.result, 'the host sees no difference');
  assert.deepEqual(hub.faults, []);
  assert.deepEqual(hub.violations, []);
  assert.equal(hub.exchanges.length, scenario.exchanges ?? 1, 'one record of each exchange');
  await scenario.verify?.({ ...traced.result, server: traced.server, hub, exchanges: hub.exchanges, exchange: hub.exchanges[0] });
  for (const throwIn of FAILING) {
    const failing = new FakeHub({ throwIn });
    failing.throwIn = throwIn;
    const { result } = await run(scenario, failing, install);
    assert.deepEqual(result, plain.result, `the host does not notice a recorder that fails in ${throwIn}`);
    if (hub.exchanges.length > 0 && throwIn !== 'chunk') assert.notEqual(failing.faults.length, 0, 'the failure is counted');
  }
}

/** What is recorded is what went over the wire, head and body, both ways. */
function assertSameAsServer(exchange, account) {
  assert.equal(exchange.requestLine, account.line);
  assert.deepEqual(exchange.requestHeaders, account.headers);
  assert.equal(digest(exchange.requestBody), digest(account.requestBody));
  assert.equal(exchange.status, account.response.statusCode);
  assert.equal(digest(exchange.responseBody), digest(account.responseBody));
}

/** All exchanges ended well, and each is what the server saw. */
function assertComplete({ exchanges, server }) {
  assert.equal(exchanges.length, server.accounts.length);
  exchanges.forEach((exchange, i) => {
    assertSameAsServer(exchange, server.accounts[i]);
    assert.equal(exchange.outcome, 'end');
    assert.equal(exchange.requestEnded, true);
  });
}

/** Bytes that no encoding and no compression makes small or text. */
function noise(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(((i + 1) * 2654435761) >>> 0, i);
  return bytes;
}

module.exports = { assertComplete, assertSameAsServer, compare, noise };
