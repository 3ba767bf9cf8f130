'use strict';

// Interceptors, from outside: real programs, what their clients receive, and what stands in the log.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { runProgram } = require('./support/interceptor-client');
const { runClient } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** @param {string} source @param {Record<string, string>} [env] */
const run = (source, env) => runProgram(standin, source, env);

/** @param {Awaited<ReturnType<typeof run>>} outcome @param {RegExp | ''} [stderr] */
function assertWell(outcome, stderr = '') {
  if (stderr === '') assert.equal(outcome.stderr, '');
  else assert.match(outcome.stderr, stderr);
  assert.deepEqual([outcome.code, outcome.signal], [0, null]);
}

const MODES = [
  ['zero-latency mode', {}],
  ['standard mode', { CLAUDE_TRACE_ZERO_LATENCY: 'false' }],
];

for (const [mode, env] of /** @type {[string, Record<string, string>][]} */ (MODES)) {
  test(`the record is changed and the client receives every byte, in ${mode}`, async () => {
    const outcome = await run(
      `
      const untouched = await ask();
      const logger = initializeInterceptor();
      const seen = [];
      logger.use({
        name: 'tidy',
        maxEvents: 3,
        onRequest(request) {
          seen.push([request.exchange.id, 'request', request.method, new URL(request.url).pathname, request.headers['x-standin']]);
          request.setHeader('x-tenant', 'a');
          request.renameHeader('x-standin', 'x-scenario');
        },
        onResponse(response) {
          seen.push([response.exchange.id, 'response', response.status]);
          response.removeHeader('date');
        },
        onEvents(batch) {
          seen.push([batch.exchange.id, 'events', batch.length <= 3]);
          for (const event of batch) {
            if (event.type === 'ping') event.drop();
            const { delta } = event.json();
            if (delta?.type === 'text_delta') event.replace(JSON.stringify({ ...event.json(), delta: { ...delta, text: '*' } }));
            if (event.type === 'message_stop') event.annotate({ last: true });
          }
        },
        onExchange(end) {
          seen.push([end.exchange.id, 'end', end.outcome, end.events > 3, end.passed]);
          end.annotate('reviewed');
        },
      });
      for (const scenario of ['text', 'text+tear', 'text+gzip', 'text+br+tear']) {
        const received = await ask(scenario);
        if (nameless(received) !== nameless(untouched)) throw new Error('the client received something else: ' + received);
      }
      await logger.cleanup();
      say(seen);
      say(logger.getStats().interceptors);
      say(untouched);`,
      { ...env, CLAUDE_TRACE_ZERO_LATENCY_DEFERRED_PARSING: 'false' },
    );
    assertWell(outcome);
    const [seen, stats, untouched] = outcome.said;
    const events = untouched.split('\n\n').filter((/** @type {string} */ block) => block.includes('data:'));
    const kept = events.filter((/** @type {string} */ block) => !block.startsWith('event: ping'));
    assert.ok(kept.length < events.length, 'the stand-in pings');
    assert.equal(outcome.records.length, 4);
    for (const { request, response, derived, intercepted, trace } of outcome.records) {
      const blocks = response.body_raw.split('\n\n').filter((/** @type {string} */ block) => block !== '');
      assert.equal(blocks.length, kept.length);
      const texts = blocks.filter((/** @type {string} */ block) => block.includes('text_delta'));
      assert.ok(texts.length > 1);
      for (const block of texts) assert.match(block, /"text":"\*"/);
      assert.equal(derived.message.content.map((/** @type {any} */ { text }) => text).join(''), '*'.repeat(texts.length), 'what is derived is of the changed stream');
      assert.deepEqual([request.headers['x-tenant'], request.headers['x-standin'], response.headers.date], ['a', undefined, undefined]);
      assert.match(request.headers['x-scenario'], /^text/);
      assert.deepEqual(intercepted, {
        by: ['tidy'],
        events: events.length,
        dropped: events.length - kept.length,
        replaced: texts.length,
        headers: ['request', 'response'],
        annotations: [
          { by: 'tidy', event: events.length - 1, value: { last: true } },
          { by: 'tidy', value: 'reviewed' },
        ],
      });
      assert.equal(trace.chunks.bytes.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0), trace.response_bytes);
    }
    const ids = [...new Set(seen.map(([id]) => id))];
    assert.equal(ids.length, 4);
    for (const [index, id] of ids.entries()) {
      const own = seen.filter(([of]) => of === id).map(([, ...call]) => call);
      const batches = own.slice(2, -1);
      assert.deepEqual(own[0], ['request', 'POST', '/v1/messages', ['text', 'text+tear', 'text+gzip', 'text+br+tear'][index]]);
      assert.deepEqual(own[1], ['response', 200]);
      assert.ok(batches.length > 1 && batches.every(([what, isSmall]) => what === 'events' && isSmall === true), 'no batch is larger than maxEvents');
      assert.deepEqual(own.at(-1), ['end', 'complete', true, 0]);
    }
    const { exchanges, dropped, errors, late, passed, overruns, batchSize, delay, interceptors } = stats;
    assert.deepEqual({ exchanges, errors, late, passed, overruns }, { exchanges: 4, errors: 0, late: 0, passed: 0, overruns: 0 });
    assert.equal(stats.events, 4 * events.length);
    assert.equal(dropped, 4 * (events.length - kept.length));
    assert.ok(batchSize.count === stats.batches && batchSize.max <= 3 && batchSize.p50 >= 1, JSON.stringify(batchSize));
    assert.ok(delay.count === stats.batches && delay.min >= 0 && delay.max >= delay.p50, JSON.stringify(delay));
    assert.deepEqual(interceptors.map(({ name, order, errors: failed }) => [name, order, failed]), [['tidy', 0, 0]]);
    assert.ok(interceptors[0].totalMs > 0 && interceptors[0].events === stats.events);
  });

  test(`one that throws costs itself alone, in ${mode}`, async () => {
    const outcome = await run(
      `
      const logger = initializeInterceptor();
      let batches = 0;
      logger.use({ name: 'throws', order: -1, maxEvents: 1, onEvents(batch) { for (const e of batch) e.drop(); if (++batches % 3 === 0) throw new TypeError('at the third'); } });
      logger.use({ name: 'rejects', onEvents: async () => { throw undefined; } });
      logger.use({ name: 'misuses', onEvents: (batch) => batch.at(0).replace({ data: 5 }) });
      logger.use({ name: 'circular', onExchange(end) { const a = {}; a.a = a; end.annotate(a); } });
      logger.use({ name: 'good', onExchange(end) { end.annotate('fine'); } });
      const received = [await ask(), await ask()];
      say(nameless(received[0]) === nameless(received[1]));
      await logger.cleanup();
      say(received);
      say(logger.getStats().interceptors.errors);`,
      env,
    );
    assertWell(outcome);
    const [same, received, errors] = outcome.said;
    assert.equal(same, true);
    assert.equal(outcome.records.length, 2);
    // They are written in the order in which their interceptors were done.
    assert.deepEqual(outcome.records.map(({ response }) => response.body_raw).sort(), received.sort(), 'nothing of what it wanted');
    for (const { intercepted } of outcome.records) {
      assert.deepEqual(intercepted.by, ['good']);
      const reasons = Object.fromEntries(intercepted.failed.map((/** @type {any} */ { by, reason }) => [by, reason]));
      assert.equal(reasons.throws, 'TypeError: at the third');
      assert.equal(reasons.rejects, 'undefined');
      assert.match(reasons.misuses, /data is no string/);
      assert.match(reasons.circular, /circular/i);
      assert.deepEqual(intercepted.annotations, [{ by: 'good', value: 'fine' }]);
    }
    assert.equal(errors, 8);
  });

  test(`one that never answers is not waited for, in ${mode}`, async () => {
    const outcome = await run(
      `
      const logger = initializeInterceptor({ interceptorTimeoutMs: 2000 });
      logger.use({ name: 'never', onEvents: () => new Promise(() => {}) });
      logger.use({ name: 'behind', order: 1, headers: { request: { set: { 'x-behind': 'yes' } } }, onExchange: (end) => end.annotate('seen') });
      say(await ask());
      await written(logger, 1);
      say(logger.getStats().interceptors.late);`,
      env,
    );
    assertWell(outcome);
    const [received, late] = outcome.said;
    const [{ request, response, intercepted }] = outcome.records;
    assert.equal(response.body_raw, received);
    assert.equal(request.headers['x-behind'], 'yes');
    assert.deepEqual(intercepted.late, ['never']);
    assert.deepEqual(intercepted.annotations, [{ by: 'behind', value: 'seen' }]);
    assert.equal(late, 1);
  });

  test(`the exit serves handlers that answer at once, and waits for no promise, in ${mode}`, async () => {
    const outcome = await run(
      `
      const logger = initializeInterceptor({ interceptorTimeoutMs: 30_000, exitDrainMs: 30_000 });
      logger.use({ name: 'sync', maxDelayMs: 60_000, onEvents: (batch) => batch.at(0).drop(), onExchange: (end) => end.annotate(end.outcome) });
      const received = await ask();
      const other = new ClaudeTrafficLogger({ interceptorTimeoutMs: 30_000, logBaseName: 'unused' });
      process.on('exit', () => say(received));
      process.exit(3);`,
      env,
    );
    assert.equal(outcome.stderr, '');
    assert.equal(outcome.code, 3);
    const [{ response, intercepted }] = outcome.records;
    assert.equal(response.body_raw, outcome.said[0].slice(outcome.said[0].indexOf('\n\n') + 2), 'the first event is gone');
    assert.deepEqual(intercepted.annotations, [{ by: 'sync', value: 'complete' }]);
    assert.equal(intercepted.late, undefined);

    const begun = Date.now();
    const waiting = await run(
      `
      const logger = initializeInterceptor({ interceptorTimeoutMs: 30_000, exitDrainMs: 30_000 });
      logger.use({ name: 'async', onEvents: () => new Promise(() => {}) });
      say(await ask());`,
      env,
    );
    assertWell(waiting);
    assert.ok(Date.now() - begun < 25_000, 'it has not waited');
    assert.equal(waiting.records[0].response.body_raw, waiting.said[0]);
    assert.deepEqual(waiting.records[0].intercepted.late, ['async']);
  });
}

test('a promise that is settled in time counts, and cleanup() waits for it', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor({ interceptorTimeoutMs: 30_000, exitDrainMs: 60_000 });
    logger.use({ name: 'async', async onEvents(batch) { await new Promise((resolve) => setTimeout(resolve, 30)); batch.annotate(batch.length); } });
    await ask();
    await logger.cleanup();
    say(logger.getStats().totalPairs);`);
  assertWell(outcome);
  assert.deepEqual(outcome.said, [1]);
  assert.ok(outcome.records[0].intercepted.annotations.length > 0);
});

test('a slow handler never holds the stream, and sees larger batches instead of more of them', async () => {
  const outcome = await run(
    `
    const logger = initializeInterceptor();
    const sizes = [];
    // The client reads on while the first batch waits for it: it opens the gate when it has read everything.
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    logger.use({ name: 'slow', maxEvents: 8, maxDelayMs: 1, async onEvents(batch) { sizes.push(batch.length); await gate; } });
    const received = await ask('long+slow', { 'x-standin-pace-ms': '1' });
    const before = sizes.length;
    open();
    await logger.cleanup();
    say([before, sizes.reduce((a, b) => a + b), received.split('\\n\\n').length - 1]);`,
    { CLAUDE_TRACE_INTERCEPTOR_TIMEOUT_MS: '30000', CLAUDE_TRACE_EXIT_DRAIN_MS: '60000' },
  );
  assertWell(outcome);
  const [before, given, events] = outcome.said[0];
  assert.equal(before, 1, 'one batch under way');
  assert.equal(given, events, 'and none is lost');
});

test('functions for single events work as they did', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor();
    const contexts = new Set();
    logger.use(function rename(event, context) {
      contexts.add(new URL(context.exchange.request.url).pathname);
      if (event.type === 'ping') return null;
      return event.type === 'message_stop' ? { ...event, type: 'message_end' } : event;
    });
    logger.use(async (event) => (event.type === 'message_start' ? null : event), { name: 'later', order: 2 });
    logger.use((event) => { event.data = 'only a copy'; });
    say(await ask());
    await logger.cleanup();
    say([...contexts]);`);
  assertWell(outcome);
  const [received, contexts] = outcome.said;
  const expected = received.split('\n\n').filter((/** @type {string} */ block) => !/^event: (ping|message_start)\n/.test(block)).join('\n\n');
  const [{ response, intercepted }] = outcome.records;
  assert.equal(response.body_raw, expected.replace('event: message_stop', 'event: message_end'));
  assert.deepEqual(contexts, ['/v1/messages']);
  assert.deepEqual(intercepted.by, ['rename', 'interceptor 3', 'later']);
});

test('one that is removed is called no more; the others are', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor();
    const seen = [];
    const remove = logger.use({ name: 'a', onExchange: () => void seen.push('a') });
    logger.use({ name: 'b', onExchange: () => void seen.push('b') });
    await ask();
    await written(logger, 1);
    remove();
    remove();
    await ask();
    await logger.cleanup();
    remove();
    say(seen);`);
  assertWell(outcome);
  assert.deepEqual(outcome.said[0], ['a', 'b', 'b']);
});

test('match says which exchanges an interceptor is for', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor({ includeAllRequests: true });
    const seen = [];
    const note = (name) => ({ name, onExchange: () => void seen.push(name) });
    logger.use({ ...note('path'), match: { path: ['/v1/*', '/none'] } });
    logger.use({ ...note('other path'), match: { path: '/v2/*' } });
    logger.use({ ...note('host'), match: { host: '127.0.*', method: 'post' } });
    logger.use({ ...note('method'), match: { method: 'GET' } });
    logger.use({ ...note('pattern'), match: /\\/v1\\/messages$/g });
    logger.use({ ...note('function'), match: (request) => request.headers['x-standin'] === 'text' });
    logger.use({ ...note('other function'), match: () => false });
    logger.use({ ...note('throws'), match: () => { throw new Error('no'); } });
    await ask();
    await logger.cleanup();
    say(seen.sort());`);
  assertWell(outcome);
  assert.deepEqual(outcome.said[0], ['function', 'host', 'path', 'pattern']);
  const { by, failed } = outcome.records[0].intercepted;
  assert.deepEqual([by, failed.map((/** @type {any} */ { by: name }) => name)], [['path', 'host', 'pattern', 'function'], ['throws']]);
});

test('an exchange that nobody matches has nothing of them in its record', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor();
    logger.use({ match: { path: '/v2/*' }, onEvents() {} });
    logger.use({ match: () => false, onEvents() {} });
    await ask();
    await logger.cleanup();
    say(logger.getStats().interceptors.events);`);
  assertWell(outcome);
  assert.equal('intercepted' in outcome.records[0], false);
});

test('an exchange can be discarded', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor();
    logger.use({ onExchange(end) { if (end.exchange.request.headers['x-sample'] !== 'yes') end.discard(); } });
    for (const sample of ['no', 'yes', 'no']) await ask('text', { 'x-sample': sample });
    await logger.cleanup();
    const stats = logger.getStats();
    say([stats.totalPairs, stats.interceptors.discarded]);`);
  assertWell(outcome);
  assert.deepEqual(outcome.said[0], [1, 2]);
  assert.deepEqual(outcome.records.map(({ request }) => request.headers['x-sample']), ['yes']);
});

test('errors, resets and exchanges that are cut off are told as such', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor();
    const ends = [];
    logger.use({ onExchange: ({ outcome, error, reason, exchange }) => void ends.push([outcome, error !== null, reason, exchange.response?.status ?? null]) });
    await ask('reset').catch(() => {});
    await ask('overloaded');
    const controller = new AbortController();
    const pending = fetch(url + '/v1/messages', { method: 'POST', body, headers: { 'x-standin': 'stall' }, signal: controller.signal });
    await pending;
    await logger.cleanup();
    say(ends);
    process.exit();`);
  assertWell(outcome);
  assert.deepEqual(outcome.said[0].map((/** @type {any[]} */ end, /** @type {number} */ index) => (index === 0 ? end.slice(0, 3) : end)), [
    ['error', true, null],
    ['complete', false, null, 529],
    ['cut', false, 'the recorder was closed', 200],
  ]);
});

test('an interceptor does not keep the process alive', async () => {
  const begun = Date.now();
  const outcome = await run(`
    const logger = initializeInterceptor();
    logger.use({ onEvents() {}, maxDelayMs: 60_000 });
    logger.use({ onEvents: () => new Promise(() => {}) });
    say(1);`);
  assertWell(outcome);
  assert.ok(Date.now() - begun < 20_000);
  assert.deepEqual(outcome.records, []);
});

test('worker threads have interceptors of their own, and one that is terminated takes them along', async () => {
  const outcome = await run(`
    const { Worker } = require('node:worker_threads');
    const logger = initializeInterceptor();
    logger.use({ name: 'main', onExchange: (end) => end.annotate('main') });
    const source = (what) => \`
      const { parentPort } = require('node:worker_threads');
      const { initializeInterceptor } = require(process.env.PACKAGE);
      const logger = initializeInterceptor();
      logger.use({ name: 'worker', \${what} });
      fetch(process.env.STANDIN_URL + '/v1/messages', { method: 'POST', body: '{"model":"m","stream":true,"messages":[]}' })
        .then((response) => response.text()).then(() => parentPort.postMessage('done'));\`;
    const worker = new Worker(source("onExchange: (end) => end.annotate('worker')"), { eval: true });
    await new Promise((resolve) => worker.once('exit', resolve));
    const stuck = new Worker(source('onEvents: () => new Promise(() => {})') + ';setInterval(() => {}, 1000);', { eval: true });
    await new Promise((resolve) => stuck.once('message', resolve));
    await stuck.terminate();
    await ask();
    await logger.cleanup();`);
  assertWell(outcome);
  assert.equal(outcome.records.length, 3);
  const said = outcome.records.map(({ intercepted }) => (intercepted.annotations ?? []).map((/** @type {any} */ { by, value }) => [by, value]));
  assert.deepEqual(said.sort(), [[], [['main', 'main']], [['worker', 'worker']]]);
});

test('bad arguments are errors that name the field', async () => {
  const outcome = await run(`
    const logger = new ClaudeTrafficLogger({ logDirectory: 'unused' });
    for (const bad of [
      undefined, null, 5, 'text', [], {}, { name: 5, onEvents() {} }, { name: '', onEvents() {} }, { onEvent() {} }, { onEvents: 5 },
      { onEvents() {}, maxEvents: 0 }, { onEvents() {}, maxEvents: '5' }, { onEvents() {}, maxDelayMs: -1 }, { onEvents() {}, order: 0.5 },
      { onEvents() {}, match: 5 }, { onEvents() {}, match: { hosts: 'a' } }, { onEvents() {}, match: { host: 5 } },
      { headers: { request: { set: { 'a b': '1' } } } }, { headers: { response: { set: { a: 1 } } } }, { headers: { request: { remove: [5] } } },
      { headers: { request: { rename: { a: 'b c' } } } }, { headers: { both: {} } }, { deduplicate: 1 },
    ]) {
      try { logger.use(bad); say('accepted'); } catch (error) { say([error.name, error.code, error.message]); }
    }
    try { logger.use(() => {}, { nam: 'x' }); } catch (error) { say([error.name, error.code, error.message]); }
    try { logger.use(() => {}, null); } catch (error) { say([error.name, error.code, error.message]); }
    await logger.cleanup();
    try { logger.use({}); } catch (error) { say([error.name, error.code, error.message]); }
    say(typeof logger.use({ onEvents() {} }));`);
  assertWell(outcome);
  const fields = [
    'interceptor', 'interceptor', 'interceptor', 'interceptor', 'interceptor', 'interceptor', 'name', 'name', 'onEvent ', 'onEvents',
    'maxEvents', 'maxEvents', 'maxDelayMs', 'order',
    'match', 'match.hosts', 'match.host',
    'headers.request.set', 'headers.response.set.a', 'headers.request.remove',
    'headers.request.rename.a', 'headers.both', 'deduplicate',
    'nam ', 'options', 'interceptor',
  ];
  assert.equal(outcome.said.at(-1), 'function', 'after cleanup() it is of no effect');
  assert.equal(outcome.said.length, fields.length + 1);
  for (const [index, field] of fields.entries()) {
    const [name, code, message] = outcome.said[index];
    assert.ok(['TypeError', 'RangeError'].includes(name), `${field}: ${name}`);
    assert.equal(code, 'TRACE_ERR_CONFIG', field);
    assert.ok(message.startsWith(field), `${message} begins with ${field}`);
  }
});

test('duplicates and header rules need no handler', async () => {
  const outcome = await run(`
    const logger = initializeInterceptor();
    logger.use({ name: 'rules', deduplicate: true, headers: { request: { remove: 'user-agent', set: { 'x-a': '1' } }, response: { rename: { 'request-id': 'x-request-id' } } } });
    await ask();
    await logger.cleanup();
    say(logger.getStats().interceptors);`);
  assertWell(outcome);
  const [{ request, response, intercepted }] = outcome.records;
  assert.deepEqual([request.headers['user-agent'], request.headers['x-a'], response.headers['request-id']], [undefined, '1', undefined]);
  assert.ok(response.headers['x-request-id']);
  assert.equal(intercepted.dropped, undefined, 'the stand-in sends no ids: nothing is a duplicate');
  assert.deepEqual(outcome.said[0].interceptors.map((/** @type {any} */ { name }) => name), ['rules']);
});

test('the official SDK gets the stream as it was sent', async () => {
  const outcome = await runClient('intercepted-sdk.mjs', { traced: true, env: { ...standin.env } });
  const untraced = await runClient('intercepted-sdk.mjs', { traced: false, env: { ...standin.env } });
  assert.equal(outcome.stderr, '');
  assert.deepEqual([outcome.code, outcome.stdout], [0, untraced.stdout]);
  const { readLog } = require('./support/log');
  const records = readLog(outcome.cwd).map(({ value }) => value);
  assert.equal(records.length, 3);
  for (const { response, intercepted } of records) {
    assert.equal(response.body_raw, '', 'every event was left out of the record');
    assert.ok(intercepted.dropped > 3 && intercepted.dropped === intercepted.events);
  }
});

test('a process that is killed leaves records without interceptors: as they were received', async () => {
  const outcome = await run(`
    const { spawnSync } = require('node:child_process');
    const child = \`
      const { initializeInterceptor } = require(process.env.PACKAGE);
      const logger = initializeInterceptor();
      logger.use({ name: 'drops', onEvents(batch) { for (const event of batch) event.drop(); process.kill(process.pid, 'SIGKILL'); } });
      fetch(process.env.STANDIN_URL + '/v1/messages', { method: 'POST', body: '{"model":"m","stream":true,"messages":[]}' }).then((r) => r.text());\`;
    const { signal } = spawnSync(process.execPath, ['--eval', child], { env: { ...process.env, CLAUDE_TRACE_SPOOL_DIR: require('node:path').resolve('spool') } });
    process.env.CLAUDE_TRACE_SPOOL_DIR = require('node:path').resolve('spool');
    const logger = initializeInterceptor();
    await logger.cleanup();
    say(signal);`);
  assertWell(outcome);
  assert.deepEqual(outcome.said, ['SIGKILL']);
  const [{ response, trace, intercepted }] = outcome.records;
  assert.equal(trace.recovered, true);
  assert.match(response.body_raw, /^event: message_start\n/);
  assert.equal(intercepted, undefined);
});
