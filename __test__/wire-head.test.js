'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { errorText, objectLines, pairLines, requestHead, responseHead } = require('../lib/wire-head.js');

test('lines of pairs keep order, case and repetition, and each byte its character', () => {
  assert.equal(
    pairLines(['X-A', '1', 'x-a', ['2', '3'], Buffer.from('b'), Buffer.from([0xe9, 0xff]), 'none', undefined]),
    'X-A: 1\r\nx-a: 2\r\nx-a: 3\r\nb: \xe9\xff\r\n',
  );
});

test('lines of an object leave the pseudo headers to the first line', () => {
  assert.equal(objectLines({ ':status': 200, 'set-cookie': ['a', 'b'], n: 1, [Symbol('sensitive')]: [] }), 'set-cookie: a\r\nset-cookie: b\r\nn: 1\r\n');
});

test('heads', () => {
  assert.equal(requestHead('GET', '/', 'a: b\r\n'), 'GET / HTTP/1.1\r\na: b\r\n');
  assert.equal(responseHead(200, undefined, '', '2'), 'HTTP/2 200 \r\n');
});

for (const [name, error, text] of [
  ['a system error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'ECONNRESET\nread ECONNRESET'],
  ['a cause with a code', new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'EPIPE' }) }), 'EPIPE\nfetch failed'],
  ['a DOMException, whose code is a number', new DOMException('stop', 'AbortError'), 'ABORT_ERR\nstop'],
  ['a timeout', new DOMException('late', 'TimeoutError'), 'TimeoutError\nlate'],
  ['a plain error', new Error('plain'), '\nplain'],
  ['several addresses', Object.assign(new AggregateError([new Error('one'), new Error('two')]), { code: 'ECONNREFUSED' }), 'ECONNREFUSED\none; two'],
  ['a reason that is no error', 'user left', 'ABORT_ERR\nuser left'],
  ['no reason', undefined, 'ABORT_ERR\n'],
  ['an error that cannot be read', { get code() { throw new Error(); } }, '\n'],
]) {
  test(`error text of ${name}`, () => assert.equal(errorText(error), text));
}
