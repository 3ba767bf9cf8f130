'use strict';

// A client that goes where its environment leads it (HTTPS_PROXY), by undici's EnvHttpProxyAgent and by hand. It knows of no
// recorder. Prints lines of JSON; in the first argument, words joined by `+`:
//
//   ask          one streamed request to STANDIN_API, and what came of it
//   stall        the same, but the answer stops in the middle; says `stalled` and waits to be ended
//   certificate  who vouches for STANDIN_API, seen through the proxy, without trusting anybody
//   strangers    what the proxy answers to whoever does not show its token, or a wrong one
//   around       the variables that it was given

const fs = require('node:fs');
const http = require('node:http');
const tls = require('node:tls');
const { EnvHttpProxyAgent, request } = require('undici');

const api = new URL(process.env.STANDIN_API ?? 'https://127.0.0.1:9');
const proxy = new URL(process.env.HTTPS_PROXY ?? 'http://127.0.0.1:9');
const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'NO_PROXY', 'no_proxy', 'NODE_USE_ENV_PROXY', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT', 'AWS_CA_BUNDLE', 'ANTHROPIC_BASE_URL'];

/** @param {string} step @param {unknown} value */
const say = (step, value) => process.stdout.write(`${JSON.stringify({ step, value })}\n`);

/** @param {string} scenario @param {(text: string) => void} [heard] */
async function ask(scenario, heard = () => {}) {
  const answer = await request(new URL('/v1/messages?beta=true', api), {
    dispatcher: new EnvHttpProxyAgent({ allowH2: true }),
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'sk-ant-made-up-key-0123456789', 'x-standin': scenario },
    body: JSON.stringify({ model: 'claude-standin', max_tokens: 5, stream: true, messages: [{ role: 'user', content: 'hi' }] }),
  });
  let text = '';
  for await (const chunk of answer.body.setEncoding('utf8')) heard((text += chunk));
  return { status: answer.statusCode, text };
}

/** The answer to a CONNECT. @param {Record<string, string>} headers @returns {Promise<{ status: number, socket: import('node:net').Socket }>} */
function connect(headers) {
  return new Promise((resolve, reject) => {
    const asking = http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: api.host, headers, agent: false });
    asking.on('connect', (response, socket) => resolve({ status: Number(response.statusCode), socket }));
    asking.on('error', reject).end();
  });
}

/** @param {string} password */
const credentials = (password) => ({ 'proxy-authorization': `Basic ${Buffer.from(`${proxy.username}:${password}`).toString('base64')}` });

const ACTS = {
  ask: async () => say('ask', await ask('text')),
  stall: () => ask('stall', (text) => text.includes('content_block_delta') && say('stalled', text)),
  certificate: async () => {
    const { socket } = await connect(credentials(proxy.password));
    const seen = tls.connect({ socket, rejectUnauthorized: false });
    await new Promise((resolve, reject) => seen.once('secureConnect', resolve).once('error', reject));
    const { subject, issuer } = seen.getPeerCertificate();
    say('certificate', [subject.CN, issuer.CN]);
    seen.destroy();
  },
  strangers: async () => {
    const statuses = [];
    for (const headers of [{}, credentials(''), credentials(`${proxy.password}0`), credentials(proxy.password.slice(1))]) {
      const { status, socket } = await connect(headers);
      statuses.push(status);
      socket.destroy();
    }
    say('strangers', statuses);
  },
  around: () => {
    const variables = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
    const files = Object.fromEntries(VARIABLES.filter((name) => process.env[name]?.endsWith('.pem')).map((name) => [name, fs.readFileSync(String(process.env[name]), 'utf8')]));
    say('around', { variables, files });
  },
};

(async () => {
  for (const word of process.argv[2].split('+')) await ACTS[/** @type {keyof typeof ACTS} */ (word)]();
})();
