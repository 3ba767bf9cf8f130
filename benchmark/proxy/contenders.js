'use strict';

// What stands between client and upstream. Each is started afresh for a sample, and ended by its id.

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

/**
 * @typedef {{ port: number, pids: () => number[], stop: (requests: number) => Promise<void> }} Started
 * @typedef {{ id: string, title: string, isAskedFor?: boolean, version: () => string | null, start: (upstream: number, folder: string) => Promise<Started> }} Contender
 */

const ROOT = path.join(__dirname, '../..');
const COMMAND = path.join(ROOT, 'claude-trace');

/** @param {string} program @param {string[]} args */
function said(program, ...args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch {
    return null;
  }
}

/** @param {number} pid @returns {number[]} it and its children */
function family(pid) {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [pid, ...children];
}

/** A port that is free at this moment. @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** @param {number} port @param {import('node:child_process').ChildProcess} child */
async function listening(port, child) {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    const socket = net.connect(port, '127.0.0.1');
    const isThere = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
    socket.destroy();
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${child.spawnfile} does not listen`);
}

/** @param {import('node:child_process').ChildProcess} child @param {NodeJS.Signals} signal */
async function ended(child, signal) {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

/** @type {Contender} */
const direct = {
  id: 'direct',
  title: 'direct',
  version: () => 'none',
  start: async (upstream) => ({ port: upstream, pids: () => [], stop: async () => {} }),
};

/** @param {{ id: string, title: string, program?: string, rules?: string, mark?: string, asked?: boolean }} what `mark` stands in the log if the rules have acted @returns {Contender} */
const ours = ({ id, title, program = COMMAND, rules, mark, asked = false }) => ({
  id,
  title,
  isAskedFor: asked,
  version: () => said(program, '--version')?.trim() ?? null,
  async start(upstream, folder) {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-rules-')), 'rules.toml');
    if (rules !== undefined) fs.writeFileSync(file, rules);
    const with_rules = rules === undefined ? [] : ['--rules', file];
    const runtime = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'claude-trace-benchmark-'));
    const child = spawn(program, ['proxy', '--json', '--upstream', `http://127.0.0.1:${upstream}`, '--log-dir', folder, ...with_rules], {
      env: { ...process.env, CLAUDE_TRACE_RUNTIME_DIR: runtime, CLAUDE_TRACE_LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { url } = JSON.parse(await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data)))));
    const stop = async (/** @type {number} */ requests) => {
      await ended(child, 'SIGINT');
      fs.rmSync(runtime, { recursive: true, force: true });
      fs.rmSync(path.dirname(file), { recursive: true, force: true });
      const acted = mark === undefined || fs.readdirSync(folder).some((name) => firstOf(path.join(folder, name)).includes(mark));
      if (!acted) throw new Error(`the rules of ${id} have done nothing`);
      const lines = fs.readdirSync(folder).map((name) => countLines(path.join(folder, name)));
      const recorded = lines.reduce((sum, count) => sum + count, 0);
      if (recorded !== requests) throw new Error(`${recorded} of ${requests} exchanges are on record`);
    };
    return { port: Number(new URL(url).port), pids: () => family(Number(child.pid)), stop };
  },
});

/** Rules that no request of the benchmark is for. */
const ELSEWHERE = '[[rule]]\nname = "elsewhere"\nmatch.path = "/elsewhere"\nevents.replace = [{ find = "a", with = "b" }]\n';
/** A field of every request. */
const HEADER = '[[rule]]\nname = "team"\nrequest.headers.set = { x-team = "search" }\n';
/** Every event goes on with other data. The time that stands in it stays. */
const REPLACE = "[[rule]]\nname = \"dots\"\nevents.replace = [{ regex = '\\.+$', with = '-' }]\n";
/** Every event is looked at, and none has it. */
const EVERYWHERE = '[[rule]]\nname = "everywhere"\nevents.replace = [{ find = "nowhere to be found", with = "b" }]\n';

/** The first records: those of the streams that warm it. @param {string} file */
function firstOf(file) {
  const buffer = Buffer.alloc(1 << 20);
  const fd = fs.openSync(file, 'r');
  const read = fs.readSync(fd, buffer);
  fs.closeSync(fd);
  return buffer.subarray(0, read);
}

/** @param {string} file */
function countLines(file) {
  let count = 0;
  const buffer = Buffer.alloc(1 << 20);
  const fd = fs.openSync(file, 'r');
  for (let read; (read = fs.readSync(fd, buffer)) > 0; ) for (let at = -1; (at = buffer.indexOf(10, at + 1)) !== -1 && at < read; ) count++;
  fs.closeSync(fd);
  return count;
}

/** @param {string} program @returns {Contender} */
const nginx = (program) => ({
  id: 'nginx',
  title: 'nginx',
  version() {
    try {
      // It says it on stderr.
      return execFileSync('/bin/sh', ['-c', '"$0" -v 2>&1', program], { encoding: 'utf8' }).trim().replace('nginx version: ', '');
    } catch {
      return null;
    }
  },
  async start(upstream, folder) {
    const port = await freePort();
    fs.mkdirSync(path.join(folder, 'logs'));
    fs.writeFileSync(
      path.join(folder, 'nginx.conf'),
      `daemon off; pid nginx.pid; error_log stderr error; worker_processes ${Math.min(4, os.availableParallelism())}; worker_rlimit_nofile 20000;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 10000000; tcp_nodelay on;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream api { server 127.0.0.1:${upstream}; keepalive 4096; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off; }
  }
}
`,
    );
    const child = spawn(program, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'inherit'] });
    await listening(port, child);
    return { port, pids: () => family(Number(child.pid)), stop: () => ended(child, 'SIGTERM') };
  },
});

/** @param {string} program @param {boolean} records @returns {Contender} */
const mitmproxy = (program, records) => ({
  id: records ? 'mitmproxy-record' : 'mitmproxy',
  title: records ? 'mitmproxy, recording' : 'mitmproxy, streaming',
  version: () => /Mitmproxy: (\S+)/.exec(said(program, '--version') ?? '')?.[1] ?? null,
  async start(upstream, folder) {
    const port = await freePort();
    // It keeps either the bodies or their pace: what is streamed is not in its file.
    const how = records ? ['-w', path.join(folder, 'flows')] : ['--set', 'stream_large_bodies=1'];
    const args = ['-q', '--mode', `reverse:http://127.0.0.1:${upstream}`, '--listen-host', '127.0.0.1', '--listen-port', String(port), '--set', `confdir=${folder}`, ...how];
    // It complains of the connections that are open when it ends.
    const child = spawn(program, args, { stdio: 'ignore' });
    await listening(port, child);
    return { port, pids: () => family(Number(child.pid)), stop: () => ended(child, 'SIGTERM') };
  },
});

/** @param {{ nginx: string, mitmdump: string, before?: string }} programs */
const contenders = (programs) => [
  direct,
  ours({ id: 'ours', title: 'ours' }),
  ...(programs.before ? [ours({ id: 'before', title: 'ours, another build', program: programs.before })] : []),
  ours({ id: 'ours-unmatched', title: 'ours, rules for others', rules: ELSEWHERE, asked: true }),
  ours({ id: 'ours-header', title: 'ours, a rule for a header', rules: HEADER, mark: '"x-team":"search"', asked: true }),
  ours({ id: 'ours-replace', title: 'ours, a `replace` in every event', rules: REPLACE, mark: '"name":"dots","replaced":', asked: true }),
  ours({ id: 'ours-rules', title: 'ours, rules for events', rules: EVERYWHERE, asked: true }),
  nginx(programs.nginx),
  mitmproxy(programs.mitmdump, false),
  mitmproxy(programs.mitmdump, true),
];

module.exports = { contenders };
