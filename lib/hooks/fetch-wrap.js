'use strict';

// The wrapper around a global fetch that is not Node's own: Bun's, a polyfill, a native client.
//
// It passes this and arguments on and gives back what came, read along (fetch-response.js). What it sees is what the
// program saw: one exchange whatever the redirects, a body after its Content-Encoding was undone.

const { AsyncLocalStorage } = require('node:async_hooks');
const { now } = require('../clock.js');
const { HOOK, UNSEEN, beginCall } = require('./fetch-call.js');
const { askedHead, planBody, readArguments, recordBody } = require('./fetch-request.js');
const { followResponse } = require('./fetch-response.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {NonNullable<ReturnType<typeof beginCall>>} Call */

/**
 * Puts itself on the hub's wire, to give way to the hooks below where they meet an exchange: they see more of it.
 * @param {Hub} hub
 * @param {Function} original
 * @returns {{ wrapper: Function, stop: () => void }} stop: from then on the wrapper only passes on
 */
function wrapFetch(hub, original) {
  let active = true;
  /** The call that is being made. @type {AsyncLocalStorage<Call>} */
  const calls = new AsyncLocalStorage();
  const noteLowerLevel = () => {
    calls.getStore()?.abandon();
  };
  // A method, as that has no `prototype`, which the platform's functions do not have either.
  const { wrapper } = {
    /** @this {unknown} @param {any[]} args */
    wrapper(...args) {
      const observed = active ? observe(hub, args) : null;
      if (observed === null) return original.apply(this, args);
      const { call, method, passed } = observed;
      let result;
      try {
        result = calls.run(call, () => original.apply(this, passed));
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
  hub.onWire = noteLowerLevel;
  const stop = () => {
    active = false;
    if (hub.onWire === noteLowerLevel) hub.onWire = null;
  };
  return { wrapper, stop };
}

/**
 * @param {Hub} hub
 * @param {any[]} args
 * @returns {{ call: Call, method: string, passed: any[] } | null} null: not recorded
 */
function observe(hub, args) {
  const t0 = now();
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

module.exports = { wrapFetch };
