'use strict';

// node:http in every argument form, and https when told so by the first argument. Says what it saw as lines of JSON.

const http = require('node:http');
const https = require('node:https');
const { Readable } = require('node:stream');

const secure = process.argv[2] === 'https';
const lib = secure ? https : http;
const url = /** @type {string} */ (secure ? process.env.STANDIN_HTTPS : process.env.STANDIN_URL);
const { hostname, port } = new URL(url);
const MESSAGES = '/v1/messages';
const json = (/** @type {string} */ scenario, /** @type {object} */ more = {}) =>
  JSON.stringify({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });

/** @param {(finish: (response: http.IncomingMessage) => void) => http.ClientRequest} start @returns {Promise<any>} */
function exchange(start) {
  return new Promise((resolve, reject) => {
    const request = start(async (response) => {
      try {
        const parts = [];
        for await (const part of response) parts.push(Buffer.from(part));
        resolve({ status: response.statusCode, headers: response.rawHeaders, trailers: response.trailers, body: digest(Buffer.concat(parts)) });
      } catch (error) {
        reject(error);
      }
    });
    request.on('error', reject);
  });
}
const digest = (/** @type {Buffer} */ bytes) => `${bytes.length}:${require('node:crypto').createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;

/** @type {[string, () => Promise<any>][]} */
const STEPS = [
  ['get(url, cb)', () => exchange((done) => lib.get(`${url}${MESSAGES}/echo`, done))],
  ['get(URL, options, cb)', () => exchange((done) => lib.get(new URL(`${url}${MESSAGES}/echo?q=1`), { headers: { 'x-a': 'b' } }, done))],
  ['get(options, cb)', () => exchange((done) => lib.get({ hostname, port, path: `${MESSAGES}/echo` }, done))],
  ['request(url, options, cb)', () => exchange((done) => lib.request(`${url}${MESSAGES}`, { method: 'POST' }, done).end(json('text')))],
  ['request(options), response event', () => exchange((done) => lib.request({ host: hostname, port, path: MESSAGES, method: 'POST' }).on('response', done).end(json('thinking')))],
  ['new ClientRequest', () => (secure ? Promise.resolve('not for https') : exchange((done) => new http.ClientRequest(`${url}${MESSAGES}/echo`, done).end()))],
  ['write, write, end', () => exchange((done) => {
    const body = Buffer.from(json('unicode'));
    const request = lib.request(`${url}${MESSAGES}`, { method: 'POST', headers: { 'content-length': body.length } }, done);
    // 45 lies within a character of four bytes.
    for (const [from, to] of [[0, 7], [7, 45], [45, 46]]) request.write(body.subarray(from, to));
    request.end(body.subarray(46));
    return request;
  })],
  ['write with encoding and callback', () => exchange((done) => {
    const request = lib.request(`${url}${MESSAGES}/echo`, { method: 'PUT' }, done);
    request.write('68656c6c6f', 'hex', () => request.write('IHdvcmxk', 'base64', () => request.end('\u00e9', 'latin1')));
    return request;
  })],
  ['end with callback only', () => exchange((done) => {
    const request = lib.request(`${url}${MESSAGES}/echo`, { method: 'POST' }, done);
    request.write(new Uint8Array([0, 255, 128]));
    request.end(() => {});
    return request;
  })],
  ['piped body', () => exchange((done) => Readable.from(['öne ', Buffer.from('two '), 'three']).pipe(lib.request(`${url}${MESSAGES}/echo`, { method: 'POST' }, done)))],
  ['setHeader, flushHeaders', () => exchange((done) => {
    const request = lib.request(`${url}${MESSAGES}/echo`, { method: 'POST' }, done);
    request.setHeader('x-api-key', 'sk-ant-made-up-0123456789abcdef');
    request.setHeader('x-list', ['a', 'b']);
    request.flushHeaders();
    setImmediate(() => request.end('late'));
    return request;
  })],
  ['headers as a flat array', () => exchange((done) => lib.get(`${url}${MESSAGES}/echo`, /** @type {any} */ ({ headers: ['Host', `${hostname}:${port}`, 'X-Twice', '1', 'X-Twice', '2'] }), done))],
  ['auth in the URL', () => exchange((done) => lib.get(url.replace('://', '://user:made-up-password@') + `${MESSAGES}/echo`, done))],
  ['data listener, paused and resumed', () => new Promise((resolve, reject) => {
    lib.request(`${url}${MESSAGES}`, { method: 'POST' }, (response) => {
      /** @type {Buffer[]} */
      const parts = [];
      response.on('data', (part) => {
        parts.push(part);
        response.pause();
        setImmediate(() => response.resume());
      });
      response.on('end', () => resolve(digest(Buffer.concat(parts))));
    }).on('error', reject).end(json('long', { stream: true }));
  })],
  ['readable event and read()', () => new Promise((resolve, reject) => {
    lib.request(`${url}${MESSAGES}`, { method: 'POST' }, (response) => {
      /** @type {Buffer[]} */
      const parts = [];
      response.on('readable', () => {
        for (let part = response.read(); part !== null; part = response.read()) parts.push(part);
      });
      response.on('end', () => resolve(digest(Buffer.concat(parts))));
    }).on('error', reject).end(json('long', { stream: true }));
  })],
  ['setEncoding', () => new Promise((resolve, reject) => {
    lib.request(`${url}${MESSAGES}`, { method: 'POST' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => resolve(text));
    }).on('error', reject).end(json('unicode+tear', { stream: true }));
  })],
  ['resume(): body not wanted', () => new Promise((resolve, reject) => {
    lib.get(`${url}${MESSAGES}/bytes?n=50000`, (response) => response.resume().on('end', () => resolve(response.statusCode))).on('error', reject);
  })],
  ['no response listener: Node dumps the body', () => new Promise((resolve, reject) => {
    const request = lib.get(`${url}${MESSAGES}/bytes?n=500`);
    request.on('close', () => resolve('closed')).on('error', reject);
  })],
  ...['text+gzip', 'text+br', 'text+zstd', 'text+deflate', 'unicode+gzip+tear', 'big'].map((scenario) => /** @type {[string, () => Promise<any>]} */ ([
    scenario, () => exchange((done) => lib.request(`${url}${MESSAGES}`, { method: 'POST' }, done).end(json(scenario, { stream: true }))),
  ])),
  ['HEAD', () => exchange((done) => lib.request(`${url}${MESSAGES}/bytes?n=9`, { method: 'HEAD' }, done).end())],
  ['204', () => exchange((done) => lib.get(`${url}${MESSAGES}/status?is=204`, done))],
  ['trailers', () => exchange((done) => lib.get(`${url}${MESSAGES}/trailers`, done))],
  ['no keep-alive', () => exchange((done) => lib.get(`${url}${MESSAGES}/echo`, { agent: false }, done))],
  ['parallel on one socket', async () => {
    const agent = new lib.Agent({ keepAlive: true, maxSockets: 1 });
    const all = await Promise.all([100, 2000, 30_000].map((n) => exchange((done) => lib.get(`${url}${MESSAGES}/bytes?n=${n}`, { agent }, done))));
    agent.destroy();
    return all.map(({ body }) => body);
  }],
  ['destroyed in mid-stream', () => exchange((done) => lib.request(`${url}${MESSAGES}`, { method: 'POST' }, (response) => {
    response.once('data', () => response.destroy(new Error('seen enough')));
    done(response);
  }).end(json('text+stall', { stream: true })))],
  ['aborted by a signal', () => {
    const controller = new AbortController();
    return exchange((done) => lib.request(`${url}${MESSAGES}`, { method: 'POST', signal: controller.signal }, (response) => {
      response.once('data', () => controller.abort());
      done(response);
    }).end(json('text+stall', { stream: true })));
  }],
  ['destroyed before the head', () => exchange((done) => {
    const request = lib.request(`${url}${MESSAGES}`, { method: 'POST', headers: { 'x-standin-gate': 'arrived' } }, done);
    request.end(json('hang'));
    control('/__wait?gate=arrived', () => request.destroy());
    return request;
  })],
  ['timeout', () => exchange((done) => {
    const request = lib.request(`${url}${MESSAGES}`, { method: 'POST', timeout: 300 }, done);
    return request.on('timeout', () => request.destroy(new Error('too slow'))).end(json('hang'));
  })],
  ...['reset', 'cut'].map((how) => /** @type {[string, () => Promise<any>]} */ ([`${how} in mid-stream`, () => exchange((done) =>
    lib.request(`${url}${MESSAGES}`, { method: 'POST', headers: { 'x-standin-gate': how } }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
        if (text.endsWith('" the"}}\n\n')) control(`/__open?gate=${how}`, () => {});
      });
      done(response);
    }).end(json(`text+${how}`, { stream: true })))])),
  ['refused', () => exchange((done) => lib.request(`${process.env.STANDIN_CLOSED?.replace('http', secure ? 'https' : 'http')}${MESSAGES}`, { method: 'POST' }, done).end(json('text')))],
  ['a bad argument', async () => lib.request('no URL')],
  ['what it looks like', async () => [lib.request.name, lib.request.length, lib.get.name, lib.get.length]],
];

/** @param {string} path @param {() => void} then */
function control(path, then) {
  http.request(`${process.env.STANDIN_URL}${path}`, { method: 'POST', agent: false }, (response) => response.resume().on('end', then)).end();
}

(async () => {
  for (const [step, act] of STEPS) {
    let value;
    try {
      value = await act();
    } catch (/** @type {any} */ { name, message, code }) {
      value = { failed: { name, message, code } };
    }
    process.stdout.write(`${JSON.stringify({ step, value })}\n`);
  }
  // A keep-alive agent holds no process, but its sockets close in their own time.
  lib.globalAgent.destroy();
})();
