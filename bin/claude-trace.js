#!/usr/bin/env node
'use strict';

// npm's door to the program `claude-trace`, which is no script: finds it, and stands between it and the caller as if it were
// not there. Input, output, signals and the way it ends are passed on.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const tty = require('node:tty');

const root = path.join(__dirname, '..');

/** Where an installation puts it, then where `cargo build --release` does. */
const PLACES = ['claude-trace', 'bin/claude-trace', 'target/release/claude-trace'];

// As a shell says that a command was not found, or cannot be executed.
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Those that are sent to a process to tell it something. @type {NodeJS.Signals[]} */
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
/** A terminal sends these to all of its foreground, the program included: it must not get them twice. */
const FROM_KEYS = ['SIGINT', 'SIGQUIT'];

function find() {
  const files = PLACES.map((place) => path.join(root, place));
  return files.find((file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile());
}

/** @param {string} problem @param {number} code */
function fail(problem, code) {
  process.stderr.write(`claude-trace: ${problem}: run "npm rebuild claude-trace-native", or "npm run build" in a checkout\n`);
  process.exitCode = code;
}

/** @param {string} program */
function run(program) {
  const hasTerminal = [0, 1, 2].some((fd) => tty.isatty(fd));
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child;
  // Listening before there is a child: a signal in between would end this process alone.
  for (const signal of PASSED_ON) {
    process.on(signal, () => {
      if (!(hasTerminal && FROM_KEYS.includes(signal))) child?.kill(signal);
    });
  }
  child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
  child.once('error', ({ message }) => {
    endListening();
    fail(`${program} cannot be started (${message})`, NOT_EXECUTABLE);
  });
  child.once('exit', (code, signal) => {
    endListening();
    if (signal === null) process.exitCode = code ?? 1;
    else endBy(signal);
  });
}

function endListening() {
  for (const signal of PASSED_ON) process.removeAllListeners(signal);
}

/** Whoever waits for this process sees the signal that ended the program. @param {NodeJS.Signals} signal */
function endBy(signal) {
  // Should it be one that does not end us, the shell's number for it does.
  process.exitCode = 128 + os.constants.signals[signal];
  process.kill(process.pid, signal);
}

const program = find();
if (program === undefined) fail(`the program for ${process.platform}-${process.arch} is missing`, NOT_FOUND);
else run(program);
