'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { OPTIONS, resolveConfig } = require('../lib/config.js');

const resolve = (config, env = {}) => resolveConfig(config, env);

/** The value of an option by its name in the table. */
const at = (settings, name) => name.split('.').reduce((value, key) => value[key], settings);

/** A config in which that option has that value. */
const configWith = (name, value) => name.split('.').reduceRight((inner, key) => ({ [key]: inner }), value);

/** A value of the option that differs from its default: as code gives it and as a variable spells it. */
function another(option) {
  switch (option.type) {
    case 'boolean':
      return [!option.default, String(!option.default)];
    case 'integer':
      return [option.max, String(option.max)];
    case 'choice':
      return [option.choices.at(-1), option.choices.at(-1)];
    case 'hosts':
      return [['api.openai.com', '*.corp.example'], 'api.openai.com, *.corp.example'];
    default:
      return ['elsewhere', 'elsewhere'];
  }
}

const named = OPTIONS.filter(({ name }) => name !== null);

test('without config and environment the defaults of the seeds hold', () => {
  const { settings, problems } = resolve(undefined);
  assert.deepEqual(problems, []);
  assert.deepEqual(settings.zeroLatency, {
    enabled: true,
    backgroundWorkers: 1,
    writeBufferSize: 100,
    writeBufferFlushMs: 100,
    deferredParsing: true,
    memoryPoolSize: 10 * 1024 * 1024,
  });
  assert.equal(settings.logDirectory, '.claude-trace');
  assert.equal(settings.logBaseName, undefined);
  assert.equal(settings.enableRealTimeHTML, true);
  assert.equal(settings.logLevel, 'info');
  assert.equal(settings.includeAllRequests, false);
  assert.deepEqual(settings.hosts, []);
});

test('knows every variable of claude-trace and of the seeds', () => {
  const names = new Set(OPTIONS.map(({ env }) => env));
  for (const name of ['LOG_NAME', 'INCLUDE_ALL_REQUESTS', 'OPEN_BROWSER', 'ZERO_LATENCY', 'ZERO_LATENCY_WORKERS', 'ZERO_LATENCY_BUFFER_SIZE', 'ZERO_LATENCY_FLUSH_MS', 'ZERO_LATENCY_DEFERRED_PARSING', 'ZERO_LATENCY_MEMORY_POOL_SIZE']) {
    assert.ok(names.has(`CLAUDE_TRACE_${name}`), name);
  }
  assert.equal(names.size, OPTIONS.length, 'each option has one of its own');
});

for (const option of named) {
  test(`${option.name}: code comes before the environment, it before the default; empty and undefined are unset`, () => {
    const [value, text] = another(option);
    const read = (config, env) => {
      const { settings, problems } = resolve(config, env);
      assert.deepEqual(problems, []);
      return at(settings, option.name);
    };
    assert.notDeepEqual(value, option.default);
    assert.deepEqual(read(configWith(option.name, value), {}), value);
    assert.deepEqual(read({}, { [option.env]: text }), value);
    assert.deepEqual(read({}, { [option.env]: '' }), option.default);
    assert.deepEqual(read(configWith(option.name, undefined), { [option.env]: text }), value);
    if (option.default !== undefined) assert.deepEqual(read(configWith(option.name, option.default), { [option.env]: text }), option.default);
  });
}

test('zeroLatency takes true and false for its enabled', () => {
  assert.equal(resolve({ zeroLatency: false }).settings.zeroLatency.enabled, false);
  assert.equal(resolve({ zeroLatency: true }, { CLAUDE_TRACE_ZERO_LATENCY: 'false' }).settings.zeroLatency.enabled, true);
  assert.equal(resolve({ zeroLatency: undefined }).settings.zeroLatency.enabled, true);
  assert.equal(resolve({ zeroLatency: false }).settings.zeroLatency.writeBufferSize, 100);
});

describe('the pool is a part of the spool', () => {
  const sizes = ({ settings }) => [settings.maxSpoolBytes, settings.zeroLatency.memoryPoolSize];
  const MIB = 1024 * 1024;
  test('the size that is not chosen follows the one that is', () => {
    assert.deepEqual(sizes(resolve({ maxSpoolBytes: MIB })), [MIB, MIB]);
    assert.deepEqual(sizes(resolve({ zeroLatency: { memoryPoolSize: 1024 * MIB } })), [1024 * MIB, 1024 * MIB]);
    assert.deepEqual(sizes(resolve({}, { CLAUDE_TRACE_MAX_SPOOL_BYTES: '2097152' })), [2 * MIB, 2 * MIB]);
  });
  test('both chosen and at odds: an error in code, a problem in the environment', () => {
    const message = 'maxSpoolBytes: 1048576 is not allowed, allowed is at least memoryPoolSize (2097152)';
    const env = { CLAUDE_TRACE_ZERO_LATENCY_MEMORY_POOL_SIZE: '2097152' };
    assert.throws(() => resolve({ maxSpoolBytes: MIB, zeroLatency: { memoryPoolSize: 2 * MIB } }), { name: 'RangeError', code: 'TRACE_ERR_CONFIG', message });
    assert.throws(() => resolve({ maxSpoolBytes: MIB }, env), { message });
    const resolved = resolve({}, { ...env, CLAUDE_TRACE_MAX_SPOOL_BYTES: '1048576' });
    assert.deepEqual(sizes(resolved), [2 * MIB, 2 * MIB]);
    assert.deepEqual(resolved.problems, ['CLAUDE_TRACE_MAX_SPOOL_BYTES=1048576 is not at least memoryPoolSize (2097152): using that']);
  });
});

test('takes ".jsonl" off a log name', () => {
  assert.equal(resolve({ logBaseName: 'run-7.jsonl' }).settings.logBaseName, 'run-7');
  assert.equal(resolve({}, { CLAUDE_TRACE_LOG_NAME: 'run-7.jsonl' }).settings.logBaseName, 'run-7');
  assert.equal(resolve({ logBaseName: 'run 7..v1.json' }).settings.logBaseName, 'run 7..v1.json');
});

test('takes a word in place of a number where there is one', () => {
  const workers = (config, env) => resolve(config, env).settings.zeroLatency.backgroundWorkers;
  assert.equal(workers({ zeroLatency: { backgroundWorkers: 'auto' } }), 'auto');
  assert.equal(workers({}, { CLAUDE_TRACE_ZERO_LATENCY_WORKERS: ' AUTO ' }), 'auto');
  assert.equal(workers({ zeroLatency: { backgroundWorkers: 2 } }, { CLAUDE_TRACE_ZERO_LATENCY_WORKERS: 'auto' }), 2);
});

test('keeps no reference to the array that it was given', () => {
  const hosts = ['a.example'];
  const { settings } = resolve({ hosts });
  hosts.push('not a host');
  assert.deepEqual(settings.hosts, ['a.example']);
});

describe('a bad value in code is an error that names the field, the value and what is allowed', () => {
  const range = (name) => {
    const { min, max } = OPTIONS.find((option) => option.name === name);
    return `an integer from ${min} to ${max}`;
  };
  const cases = [
    [{ logDirectory: 7 }, TypeError, 'logDirectory: 7 is not allowed, allowed is the path of a folder'],
    [{ logDirectory: '' }, RangeError, 'logDirectory: "" is not allowed, allowed is the path of a folder'],
    [{ logDirectory: 'a\0b' }, RangeError, 'logDirectory: "a\\u0000b" is not allowed, allowed is the path of a folder'],
    [{ spoolDir: null }, TypeError, 'spoolDir: null is not allowed, allowed is the path of a folder'],
    [{ enableRealTimeHTML: 'true' }, TypeError, 'enableRealTimeHTML: "true" is not allowed, allowed is true or false'],
    [{ logLevel: 'loud' }, RangeError, 'logLevel: "loud" is not allowed, allowed is one of debug, info, warn, error, silent'],
    [{ logLevel: 3 }, TypeError, 'logLevel: 3 is not allowed, allowed is one of debug, info, warn, error, silent'],
    [{ hosts: 'api.openai.com' }, TypeError, /^hosts: "api\.openai\.com" is not allowed, allowed is a list of /],
    [{ hosts: ['ok.example', 'a b'] }, RangeError, /^hosts: \["ok\.example", "a b"\] is not allowed/],
    [{ maxSpoolBytes: 1.5e6 + 0.5 }, RangeError, `maxSpoolBytes: 1500000.5 is not allowed, allowed is ${range('maxSpoolBytes')}`],
    [{ exitDrainMs: -1 }, RangeError, 'exitDrainMs: -1 is not allowed, allowed is an integer from 0 to 60000'],
    [{ zeroLatency: 'yes' }, TypeError, 'zeroLatency: "yes" is not allowed, allowed is an object, true or false'],
    [{ zeroLatency: [] }, TypeError, 'zeroLatency: [] is not allowed, allowed is an object, true or false'],
    [{ zeroLatency: { backgroundWorkers: NaN } }, RangeError, 'zeroLatency.backgroundWorkers: NaN is not allowed, allowed is an integer from 1 to 64, or auto'],
    [{ zeroLatency: { backgroundWorkers: 'many' } }, TypeError, 'zeroLatency.backgroundWorkers: "many" is not allowed, allowed is an integer from 1 to 64, or auto'],
    [{ zeroLatency: { writeBufferSize: 'auto' } }, TypeError, `zeroLatency.writeBufferSize: "auto" is not allowed, allowed is ${range('zeroLatency.writeBufferSize')}`],
    [{ zeroLatency: { writeBufferSize: -5 } }, RangeError, `zeroLatency.writeBufferSize: -5 is not allowed, allowed is ${range('zeroLatency.writeBufferSize')}`],
    [{ zeroLatency: { writeBufferFlushMs: Infinity } }, RangeError, `zeroLatency.writeBufferFlushMs: Infinity is not allowed, allowed is ${range('zeroLatency.writeBufferFlushMs')}`],
    [{ zeroLatency: { memoryPoolSize: '10MB' } }, TypeError, `zeroLatency.memoryPoolSize: "10MB" is not allowed, allowed is ${range('zeroLatency.memoryPoolSize')}`],
    [{ zeroLatency: { enabled: 1 } }, TypeError, 'zeroLatency.enabled: 1 is not allowed, allowed is true or false'],
    ['config', TypeError, 'config: "config" is not allowed, allowed is an object'],
    [null, TypeError, 'config: null is not allowed, allowed is an object'],
  ];
  for (const [config, Kind, message] of cases) {
    test(typeof message === 'string' ? message.split(',', 1)[0] : String(message), () => {
      assert.throws(() => resolve(config), (error) => {
        assert.ok(error instanceof Kind, `${error}`);
        assert.equal(error.code, 'TRACE_ERR_CONFIG');
        if (typeof message === 'string') assert.equal(error.message, message);
        else assert.match(error.message, message);
        return true;
      });
    });
  }
});

describe('an unknown key is an error that suggests the nearest one', () => {
  const cases = [
    [{ logDir: 'x' }, 'logDir is not an option: did you mean logDirectory?'],
    [{ loglevel: 'info' }, 'loglevel is not an option: did you mean logLevel?'],
    [{ zerolatency: {} }, 'zerolatency is not an option: did you mean zeroLatency?'],
    [{ zeroLatency: { workers: 2 } }, 'zeroLatency.workers is not an option: did you mean zeroLatency.backgroundWorkers?'],
    [{ zeroLatency: { retries: 2 } }, /^zeroLatency\.retries is not an option: allowed are enabled, backgroundWorkers, /],
    [{ zeroLatency: { writeBufferMs: 2 } }, 'zeroLatency.writeBufferMs is not an option: did you mean zeroLatency.writeBufferSize?'],
    [{ 'zeroLatency.enabled': false }, /^zeroLatency\.enabled is not an option/],
    [{ undefined: 1 }, /^undefined is not an option: allowed are logDirectory, /],
  ];
  for (const [config, message] of cases) {
    test(Object.keys(config)[0], () => {
      assert.throws(() => resolve(config), { name: 'TypeError', code: 'TRACE_ERR_CONFIG', message });
    });
  }
});

describe('a bad variable is one problem and the default', () => {
  const cases = [
    ['CLAUDE_TRACE_LOG_LEVEL', 'loud', 'logLevel'],
    ['CLAUDE_TRACE_ZERO_LATENCY', 'maybe', 'zeroLatency.enabled'],
    ['CLAUDE_TRACE_ZERO_LATENCY', 'constructor', 'zeroLatency.enabled'],
    ['CLAUDE_TRACE_ZERO_LATENCY_WORKERS', 'NaN', 'zeroLatency.backgroundWorkers'],
    ['CLAUDE_TRACE_ZERO_LATENCY_WORKERS', '-1', 'zeroLatency.backgroundWorkers'],
    ['CLAUDE_TRACE_ZERO_LATENCY_WORKERS', '0', 'zeroLatency.backgroundWorkers'],
    ['CLAUDE_TRACE_ZERO_LATENCY_WORKERS', 'automatic', 'zeroLatency.backgroundWorkers'],
    ['CLAUDE_TRACE_ZERO_LATENCY_FLUSH_MS', 'auto', 'zeroLatency.writeBufferFlushMs'],
    ['CLAUDE_TRACE_ZERO_LATENCY_FLUSH_MS', '1e2', 'zeroLatency.writeBufferFlushMs'],
    ['CLAUDE_TRACE_ZERO_LATENCY_MEMORY_POOL_SIZE', '99999999999999999999', 'zeroLatency.memoryPoolSize'],
    ['CLAUDE_TRACE_LOG_NAME', '../escape', 'logBaseName'],
    ['CLAUDE_TRACE_LOG_NAME', '..', 'logBaseName'],
    ['CLAUDE_TRACE_LOG_NAME', 'a\\b', 'logBaseName'],
    ['CLAUDE_TRACE_LOG_NAME', '.jsonl', 'logBaseName'],
    ['CLAUDE_TRACE_LOG_NAME', 'ä'.repeat(101), 'logBaseName'],
  ];
  for (const [name, text, option] of cases) {
    test(`${name}=${text.slice(0, 40)}`, () => {
      const { settings, problems } = resolve({}, { [name]: text });
      assert.equal(problems.length, 1);
      assert.ok(problems[0].startsWith(`${name}="`), problems[0]);
      assert.deepEqual(at(settings, option), OPTIONS.find((known) => known.name === option).default);
    });
  }

  test('the words', () => {
    assert.deepEqual(resolve({}, { CLAUDE_TRACE_ZERO_LATENCY_WORKERS: 'two', CLAUDE_TRACE_LOG_NAME: 'a/b', CLAUDE_TRACE_OPEN_BROWSER: '?' }).problems, [
      'CLAUDE_TRACE_LOG_NAME="a/b" is not a plain file name of at most 200 bytes: it is ignored',
      'CLAUDE_TRACE_ZERO_LATENCY_WORKERS="two" is not an integer from 1 to 64, or auto: using 1',
      'CLAUDE_TRACE_OPEN_BROWSER="?" is not true or false: using false',
    ]);
  });

  test('unless code has given the option: then nobody looks at the variable', () => {
    assert.deepEqual(resolve({ logLevel: 'warn' }, { CLAUDE_TRACE_LOG_LEVEL: 'loud' }).problems, []);
  });

  test('of several hosts only the mistyped one is lost', () => {
    const { settings, problems } = resolve({}, { CLAUDE_TRACE_HOSTS: 'api.openai.com, h t t p, ,*.corp.example' });
    assert.deepEqual(settings.hosts, ['api.openai.com', '*.corp.example']);
    assert.equal(problems.length, 1);
    assert.match(problems[0], /^CLAUDE_TRACE_HOSTS: "h t t p" is ignored, allowed is "host"/);
  });
});

test('booleans have the spellings that people use', () => {
  for (const [text, value] of [['true', true], ['TRUE', true], ['1', true], ['yes', true], [' on ', true], ['false', false], ['False', false], ['0', false], ['no', false], ['off', false]]) {
    assert.equal(resolve({}, { CLAUDE_TRACE_ZERO_LATENCY: text }).settings.zeroLatency.enabled, value, text);
  }
});
