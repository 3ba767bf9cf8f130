'use strict';

// npm run demo: a real client of @anthropic-ai/sdk against the local stand-in, recorded; then what the log says.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { painter, summary } = require('./demo/summary');

const ROOT = path.join(__dirname, '..');
const DEADLINE_MS = 60_000;
// An agent with thinking and a tool call; a 529 that the SDK retries, then gzip; an error in the middle of a stream.
const MODELS = ['claude-standin-agent', 'claude-standin-text+overloaded-once+gzip', 'claude-standin-thinking+error-event'];
const PACE_MS = 20;

/** What must not outlive the demo, whichever way it ends. @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/** @param {string[]} args @param {import('node:child_process').SpawnOptions} options */
function start(args, options) {
  const child = spawn(process.execPath, args, options);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function startStandin() {
  const child = start([path.join(ROOT, 'fixtures/standin/server.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) });
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [null])]);
  if (line === null) throw new Error('the stand-in did not start');
  return JSON.parse(line).url;
}

/** Runs the client under the loader, its output indented. @param {string} url @param {string} statsFile */
async function runClient(url, statsFile) {
  const preloads = [path.join(ROOT, 'interceptor-loader.js'), path.join(__dirname, 'demo/report-stats.js')];
  const child = start([...preloads.flatMap((file) => ['--require', file]), path.join(ROOT, 'examples/anthropic-agent.mjs'), ...MODELS], {
    env: {
      ...process.env,
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_API_KEY: 'sk-ant-made-up-for-the-demo',
      ANTHROPIC_CUSTOM_HEADERS: `x-standin-pace-ms: ${PACE_MS}`,
      CLAUDE_TRACE_DEMO_STATS: statsFile,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  readline.createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) }).on('line', (line) => console.log(`  ${line}`));
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`the client ended with ${signal ?? code}`);
}

/** @param {string} file @returns {any[]} */
function readLog(file) {
  const records = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  return records.sort((a, b) => a.request.timestamp - b.request.timestamp);
}

/** A path as --require takes it. @param {string} file */
function fromHere(file) {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') ? file : `./${relative}`;
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-demo-'));
  try {
    const paint = painter(process.stdout);
    const url = await startStandin();
    console.log(paint.bold('An agent talks to a stand-in for the Messages API:'));
    const statsFile = path.join(folder, 'stats.json');
    await runClient(url, statsFile);
    const stats = JSON.parse(fs.readFileSync(statsFile, 'utf8'));
    if (stats === null || stats.capture.mode === 'off') throw new Error(`nothing was recorded: ${stats?.capture.reason ?? 'no logger'}`);

    const records = readLog(stats.logFile);
    const atServer = /** @type {any[]} */ (await (await fetch(`${url}/__account`)).json()).length;
    const log = path.relative(process.cwd(), stats.logFile);
    console.log(`\n${paint.bold('What was recorded:')}`);
    console.log(summary(records, atServer, stats, process.stdout));
    console.log(`${paint.dim('log'.padEnd(10))} ${log}\n`);
    console.log(paint.bold('Next:'));
    console.log(`  record your own program    node --require ${fromHere(path.join(ROOT, 'interceptor-loader.js'))} app.js`);
    // The published one: our own command has no viewer yet, and `npx claude-trace` is ours.
    const viewer = path.join(path.dirname(require.resolve('@mariozechner/claude-trace/package.json')), 'dist', 'cli.js');
    console.log(`  see it in a browser        node ${fromHere(viewer)} --generate-html ${log}`);
    if (records.length !== atServer) throw new Error(`the server had ${atServer} exchanges, the log has ${records.length}`);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const timer = setTimeout(() => {
  console.error(`the demo did not end within ${DEADLINE_MS} ms`);
  for (const child of children) child.kill('SIGKILL');
  process.exitCode = 1;
}, DEADLINE_MS);
timer.unref();
main().catch((error) => {
  console.error(`the demo failed: ${error.message}`);
  process.exitCode = 1;
});
