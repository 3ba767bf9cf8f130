'use strict';

// One sample: a contender that was just started, a client of so many connections, its streams and its requests.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const TICK_MS = 10;
const STUCK_MS = 120_000;

/** @param {number[]} pids @returns {number} CPU time that they have used */
function cpuMs(pids) {
  return pids.reduce((sum, pid) => {
    // Behind the name, which may hold spaces: the 14th and 15th field are the ticks in user and in kernel mode.
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }, 0);
}

/** @param {number[]} pids @returns {number} the sum of their peaks */
const peakMiB = (pids) => pids.reduce((sum, pid) => sum + Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024, 0);

/** Cores that are at work in the whole machine but for these. */
const machineBusyMs = () => os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);

/**
 * @typedef {{ streams: number, rounds: number, chunks: number, paceMs: number, requestsMs: number }} Load
 * @param {import('./contenders.js').Contender} contender @param {Load} load @param {{ port: number, pid: number }} upstream
 */
async function takeSample(contender, load, upstream) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-proxy-'));
  const proxy = await contender.start(upstream.port, folder);
  const client = spawn(process.execPath, [path.join(__dirname, 'client.js'), JSON.stringify({ ...load, port: proxy.port })], { stdio: ['pipe', 'pipe', 'inherit'] });
  const timer = setTimeout(() => client.kill('SIGKILL'), STUCK_MS);
  const lines = readline.createInterface({ input: client.stdout })[Symbol.asyncIterator]();
  const heard = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the client ended in front of ${contender.id} with ${load.streams} streams`);
    return value;
  };
  let requests = 0;
  try {
    await heard();
    const part = async () => {
      const [cpu, busy, own] = [cpuMs(proxy.pids()), machineBusyMs(), cpuMs([upstream.pid, Number(client.pid)])];
      client.stdin.write('go\n');
      const said = JSON.parse(await heard());
      const spent = cpuMs(proxy.pids()) - cpu;
      const others = machineBusyMs() - busy - spent - (cpuMs([upstream.pid, Number(client.pid)]) - own);
      return { ...said, cpuMs: spent, othersCores: Math.max(0, others / said.seconds / 1e3) };
    };
    const streams = await part();
    const json = await part();
    const memory = peakMiB(proxy.pids());
    requests = load.streams + streams.firstByte.count + json.count;
    client.stdin.end('go\n');
    return { streams, json, peakMiB: memory };
  } finally {
    clearTimeout(timer);
    client.kill();
    await proxy.stop(requests);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { takeSample };
