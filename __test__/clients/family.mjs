// A program that starts itself again, twice at the same time and as it was started: three logs in one folder in one second.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./conversations.mjs', import.meta.url));
const children = [1, 2].map(() => spawn(process.execPath, [...process.execArgv, script], { stdio: ['ignore', 'pipe', 'inherit'] }));
const outputs = children.map(async (child) => {
  let text = '';
  for await (const part of child.stdout) text += part;
  return text;
});
const codes = children.map(async (child) => (await once(child, 'exit'))[0]);
await import('./conversations.mjs');
process.stdout.write(`${(await Promise.all(outputs)).join('')}${await Promise.all(codes)}\n`);
