'use strict';

// `node --require` this: installs hooks with a fake hub and writes down at exit what they said of the program.

const { writeFileSync } = require('node:fs');

const loaded = () => process.moduleLoadList
  .filter((name) => /^NativeModule (?:https?|http2|internal\/http2\/core|_http_\w+)$/.test(name)).map((name) => name.slice(13));
const pristine = { emit: Object.getOwnPropertyDescriptor(require('node:events'), 'init') };

const before = loaded();
for (const name of process.env.TEST_HOOKS.split(' ')) require(`../../lib/hooks/${name}.js`).install({
  match: (...args) => port().match(...args),
  fault: (...args) => port().fault(...args),
});
const after = loaded();

// The hub's own needs must not blur what a hook loads.
let hub;
const port = () => (hub ??= new (require('./fake-hub.js').FakeHub)());

process.on('exit', () => {
  const { exchanges, violations, faults } = port();
  writeFileSync(process.env.TEST_REPORT, JSON.stringify({
    loaded: after.filter((name) => !before.includes(name)),
    httpsAtExit: loaded().includes('https'),
    initRestored: require('node:events').init === pristine.emit.value,
    violations,
    faults: faults.map(String),
    exchanges: exchanges.map((exchange) => ({
      line: exchange.requestLine,
      question: String(exchange.requestBody),
      status: exchange.status,
      answer: String(exchange.responseBody),
      outcome: exchange.outcome,
    })),
  }));
});
