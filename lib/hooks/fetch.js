'use strict';

// A global fetch that is not Node's own: Bun's, a polyfill, a native client. Node's own is undici's, which undici.js sees
// on the wire; it only gets the marker that keeps other recorders away.
//
// The wrapper passes this and arguments on and gives back what came, read along (fetch-response.js). What it sees is what
// the program saw: one exchange whatever the redirects, a body after its Content-Encoding was undone.

const { now } = require('../clock.js');
const { HOOK, UNSEEN, beginCall } = require('./fetch-call.js');
const { askedHead, planBody, readArguments, recordBody } = require('./fetch-request.js');
const { followResponse } = require('./fetch-response.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {NonNullable<ReturnType<typeof beginCall>>} Call */

/** The name is claude-trace's, whose interceptor looks for it as well. */
const MARKER = '__claudeTraceInstrumented';

/** @type {Hub | null} */
let hub = null;
/** @type {() => void} */
let undo = () => {};
/** The call that is being made, for the hooks below. Only a wrapper needs it. @type {import('node:async_hooks').AsyncLocalStorage<Call> | null} */
let calls = null;

/**
 * @param {Function} candidate
 * @returns {boolean} told by its text: to call it, or to touch Response, would load undici (14 ms)
 */
function isNodesOwn(candidate) {
  return process.versions.bun === undefined && Function.prototype.toString.call(candidate).includes('internal/deps/undici/undici');
}

/**
 * For the hooks below, called where they meet an exchange: they see more of it.
 */
function noteLowerLevel() {
  calls?.getStore()?.abandon();
}

/**
 * @param {Function} original
 * @returns {Function}
 */
function wrap(original) {
  // A method, as that has no `prototype`, which the platform's functions do not have either.
  const { wrapper } = {
    /** @this {unknown} @param {any[]} args */
    wrapper(...args) {
      const observed = observe(args);
      if (observed === null) return original.apply(this, args);
      const { call, method, passed } = observed;
      let result;
      try {
        result = calls === null ? original.apply(this, passed) : calls.run(call, () => original.apply(this, passed));
      } catch (error) {
        call.fail(error);
        throw error;
      }
      if (typeof result?.then !== 'function') {
        call.fail(UNSEEN);
        return result;
      }
      // A new promise, so that a rejection that the host forgets stays an unhandled one.
      return result.then((/** @type {Response} */ response) => {
        if (!call.attempt(() => followResponse(response, call, method))) call.fail(UNSEEN);
        return response;
      }, (/** @type {unknown} */ error) => {
        call.fail(error);
        throw error;
      });
    },
  };
  for (const key of Reflect.ownKeys(original)) {
    const descriptor = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(original, key));
    if (Object.getOwnPropertyDescriptor(wrapper, key)?.configurable !== false) Object.defineProperty(wrapper, key, descriptor);
  }
  mark(wrapper);
  return wrapper;
}

/**
 * @param {any[]} args
 * @returns {{ call: Call, method: string, passed: any[] } | null} null: not recorded
 */
function observe(args) {
  const t0 = now();
  if (hub === null) return null;
  let call = null;
  try {
    const asked = readArguments(args[0], args[1]);
    if (asked === null) return null;
    const recorder = hub.match(asked.origin, asked.path, asked.method);
    if (recorder === null) return null;
    const plan = planBody(asked);
    call = beginCall(hub, recorder, asked.origin, askedHead(asked, plan?.contentType ?? null), t0);
    if (call === null) return null;
    return { call, method: asked.method, passed: passOn(args, plan, call) };
  } catch (error) {
    call?.abandon();
    hub.fault(HOOK, error);
    return null;
  }
}

/**
 * @param {any[]} args
 * @param {ReturnType<typeof planBody>} plan
 * @param {Call} call
 * @returns {any[]} the arguments for fetch: the host's own, unless the body is a stream that can only be read along
 */
function passOn(args, plan, call) {
  const [input, init, ...more] = args;
  if (plan === null || (plan.along !== undefined && !isPlain(init))) call.requestLost();
  else if (plan.along !== undefined) return [input, { ...init, body: plan.along(call) }, ...more];
  else recordBody(plan, call);
  return args;
}

/**
 * @param {object} init
 * @returns {boolean} whether a copy of its own properties is the same to fetch
 */
function isPlain(init) {
  const prototype = Object.getPrototypeOf(init);
  return prototype === Object.prototype || prototype === null;
}

/** @param {Function} target */
function mark(target) {
  Object.defineProperty(target, MARKER, { value: true, configurable: true, enumerable: false, writable: true });
}

/**
 * @param {Hub} target
 * @returns {import('./types').Uninstall | false} false: another recorder has taken fetch, or there is none
 */
function install(target) {
  if (hub !== null) return uninstall;
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'fetch');
  const original = /** @type {any} */ (globalThis.fetch);
  if (descriptor === undefined || typeof original !== 'function' || original[MARKER] === true) return false;
  if (isNodesOwn(original)) {
    mark(original);
    undo = () => { delete original[MARKER]; };
  } else {
    calls = new (require('node:async_hooks').AsyncLocalStorage)();
    const wrapper = wrap(original);
    Object.defineProperty(globalThis, 'fetch', { ...writable(descriptor), value: wrapper });
    target.onWire = noteLowerLevel;
    undo = () => {
      if (Object.getOwnPropertyDescriptor(globalThis, 'fetch')?.value === wrapper) Object.defineProperty(globalThis, 'fetch', descriptor);
      if (target.onWire === noteLowerLevel) target.onWire = null;
      calls = null;
    };
  }
  hub = target;
  return uninstall;
}

/**
 * @param {PropertyDescriptor} descriptor some environments define fetch by a getter
 * @returns {PropertyDescriptor}
 */
function writable({ configurable, enumerable }) {
  return { configurable, enumerable, writable: true };
}

function uninstall() {
  if (hub === null) return;
  hub = null;
  undo();
}

module.exports = { install, noteLowerLevel };
