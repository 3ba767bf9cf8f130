// Results as lines of JSON on stdout: what the two runs of a test are compared by.

import { createHash } from 'node:crypto';

/** @param {string} step @param {unknown} value */
export function say(step, value) {
  process.stdout.write(`${JSON.stringify({ step, value })}\n`);
}

/** @param {string} step @param {() => unknown} act */
export async function attempt(step, act) {
  try {
    say(step, await act());
  } catch (error) {
    say(step, failure(error));
  }
}

/** What a program could act on, down the chain of causes; no stack, no port of the client's side. */
export function failure(error) {
  const { name, message, code, status } = error ?? {};
  return { failed: { name, message, code, status, ...(error?.cause && { cause: failure(error.cause).failed }) } };
}

/** @param {string | Uint8Array} bytes */
export const digest = (bytes) => `${bytes.length}:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;

/** The address of a made-up LLM API; every client gets it in the environment. */
export const url = process.env.STANDIN_URL;

/** Opens a gate at which the stand-in waits. @param {string} gate */
export const openGate = (gate) => control(`/__open?gate=${gate}`);

/** Waits at a gate until the stand-in opens it. @param {string} gate */
export const waitAtGate = (gate) => control(`/__wait?gate=${gate}`);

/** @param {string} path */
async function control(path) {
  const { request } = await import('node:http');
  await new Promise((resolve, reject) => {
    request(`${url}${path}`, { method: 'POST', agent: false }, (response) => response.resume().on('end', resolve)).on('error', reject).end();
  });
}
