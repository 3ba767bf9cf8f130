'use strict';

// How fast the disk is that logs are written to: what a recorder writes, at this speed, is the time it takes of the disk.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const MIB = 1024 * 1024;
const BLOCKS = 64;
const TRIES = 3;

/** @returns {number} MiB/s of one stream of writes that ends with fsync; the best of some tries */
function diskMiBPerSecond() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-'));
  try {
    return Math.max(...Array.from({ length: TRIES }, (_, i) => oneTry(path.join(folder, String(i)))));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} file */
function oneTry(file) {
  const block = Buffer.alloc(MIB, 'disk');
  const descriptor = fs.openSync(file, 'wx');
  try {
    const start = performance.now();
    for (let i = 0; i < BLOCKS; i++) fs.writeSync(descriptor, block);
    fs.fsyncSync(descriptor);
    return BLOCKS / ((performance.now() - start) / 1e3);
  } finally {
    fs.closeSync(descriptor);
  }
}

module.exports = { diskMiBPerSecond };
