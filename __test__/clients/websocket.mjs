// WebSockets of one kind. Arguments: `global` or `ws`, and the server's URL.

import { once } from 'node:events';
import WS from 'ws';
import { attempt } from './say.mjs';

const [kind, url] = process.argv.slice(2);
const open = (path, options) => (kind === 'ws' ? new WS(`${url}${path}`, options) : new WebSocket(`${url}${path}`));
const large = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 131) & 0xff);

/** Answers each message with the next of `sent`, and tells what came. */
function talk(socket, sent, last) {
  socket.binaryType = 'arraybuffer';
  const got = [];
  return new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      got.push(typeof data === 'string' ? data : new Uint8Array(data).reduce((sum, byte) => sum + byte, 0));
      const next = sent.shift();
      if (next !== undefined) socket.send(next);
      else last(socket);
    };
    socket.onerror = ({ message }) => {
      got.push(`error ${kind === 'ws' ? message : ''}`);
      // Node 20 tells of no close of what was never open.
      if (kind !== 'ws') resolve({ got });
    };
    socket.onclose = ({ code, reason, wasClean }) => resolve({ got, code, reason, wasClean });
  });
}

await attempt('a conversation', () => talk(open('/v1/realtime'), ['text', 'Héllo 😀', large, ''], (socket) => socket.close(1000, 'done')));
await attempt('the server closes', () => talk(open('/v1/realtime?close'), ['bye'], () => {}));
await attempt('the server breaks off', () => talk(open('/v1/realtime?break'), ['on'], () => {}));
await attempt('declined', () => talk(open('/v1/declined'), [], () => {}));
if (kind === 'ws') {
  await attempt('compressed', () => talk(open('/v1/realtime', { perMessageDeflate: { threshold: 0 } }), ['x'.repeat(5000)], (socket) => socket.close()));
  await attempt('given up', () => talk(open('/v1/realtime'), ['on'], (socket) => socket.terminate()));
  const socket = open('/v1/realtime');
  await once(socket, 'open');
  socket.ping('are you there');
  await attempt('a ping', async () => String((await once(socket, 'pong'))[0]));
  socket.close();
  await once(socket, 'close');
}
