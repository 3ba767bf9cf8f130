'use strict';

// A client of a TLS proxy: asks the URL in its argument through HTTPS_PROXY, and prints who vouched for the server and what
// it answered. Node's own clients look at the variable from Node 24 on; this one does on all.

const http = require('node:http');
const https = require('node:https');
const tls = require('node:tls');

const proxy = new URL(/** @type {string} */ (process.env.HTTPS_PROXY));
const url = new URL(process.argv[2]);
const credentials = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');

const connect = http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: url.host, headers: { 'proxy-authorization': `Basic ${credentials}` } });
connect.on('connect', (answer, socket) => {
  if (answer.statusCode !== 200) throw new Error(`no tunnel: ${answer.statusCode}`);
  const secure = tls.connect({ socket, host: url.hostname, ALPNProtocols: ['http/1.1'] }, () => {
    const headers = { 'content-type': 'application/json', 'x-api-key': 'sk-ant-made-up-key-0123456789', connection: 'close' };
    const request = https.request(url, { method: 'POST', headers, createConnection: () => secure }, async (response) => {
      const text = (await response.setEncoding('utf8').toArray()).join('');
      console.log(JSON.stringify({ issuer: secure.getPeerCertificate().issuer.CN, status: response.statusCode, text }));
    });
    request.end(JSON.stringify({ model: 'claude-standin-text', max_tokens: 5, stream: true, messages: [{ role: 'user', content: 'hi' }] }));
  });
  secure.on('error', ({ message }) => console.log(JSON.stringify({ failed: message })));
});
connect.end();
