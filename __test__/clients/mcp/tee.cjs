'use strict';

// Stands between an MCP client and its server, and keeps what each says: FILE.in, FILE.out. Arguments: FILE, the command line.

const { spawn } = require('node:child_process');
const fs = require('node:fs');

const [file, command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
fs.writeFileSync(`${file}.in`, '');
fs.writeFileSync(`${file}.out`, '');
process.stdin.on('data', (bytes) => {
  fs.appendFileSync(`${file}.in`, bytes);
  child.stdin.write(bytes);
});
process.stdin.on('end', () => child.stdin.end());
child.stdout.on('data', (bytes) => {
  fs.appendFileSync(`${file}.out`, bytes);
  process.stdout.write(bytes);
});
child.on('close', (code) => {
  process.exitCode = code ?? 1;
  process.stdin.destroy();
});
