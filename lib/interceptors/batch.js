'use strict';

// Events as handlers see them. A batch comes as one string and the places in it; an event is cut out of it when somebody looks,
// which costs no copy. What a handler says takes effect when it is done: the next one sees it, and if it fails, nobody.

/** Of each event: start and end of data, type and id in the text; its number; its time; its retry. */
const PLACES = 9;

/** What an event without a type is, by the standard. */
const MESSAGE = 'message';

/**
 * @typedef {import('../../index.js').EventChange} EventChange
 * @typedef {import('../native.js').NativeSaid} NativeSaid
 */

/** A batch as it came, with what handlers have changed so far. */
class Packed {
  /** @type {Map<number, EventChange>} by place in the batch */
  changes = new Map();
  /** @type {Set<number>} */
  dropped = new Set();

  /**
   * @param {string} text
   * @param {Float64Array} places
   */
  constructor(text, places) {
    this.text = text;
    this.places = places;
    this.count = places.length / PLACES;
  }

  /**
   * @param {number} index
   * @param {number} field 0 data, 1 type, 2 id
   */
  part(index, field) {
    const at = index * PLACES + field * 2;
    return this.text.slice(this.places[at], this.places[at + 1]);
  }

  /**
   * @param {number} index
   * @param {number} field 6 number, 7 time, 8 retry
   */
  number(index, field) {
    return this.places[index * PLACES + field];
  }
}

/** What one handler says of a batch. */
class Draft {
  /** @type {Set<number>} */
  #dropped = new Set();
  /** @type {Map<number, EventChange>} */
  #replaced = new Map();
  /** @type {import('../native.js').NativeNote[]} */
  #notes = [];

  /** @param {Packed} packed */
  constructor(packed) {
    this.packed = packed;
  }

  /** @param {number} index */
  drop(index) {
    this.#dropped.add(index);
    this.#replaced.delete(index);
  }

  /**
   * @param {number} index
   * @param {string | EventChange} change
   */
  replace(index, change) {
    const parts = typeof change === 'string' ? { data: change } : change;
    if (typeof parts !== 'object' || parts === null) throw new TypeError('replace() takes the data of the event, or { data, type, id }');
    for (const part of /** @type {const} */ (['data', 'type', 'id'])) {
      const value = parts[part];
      if (value !== undefined && typeof value !== 'string') throw new TypeError(`replace(): ${part} is no string`);
    }
    this.#dropped.delete(index);
    const { data, type, id } = parts;
    this.#replaced.set(index, { ...this.#replaced.get(index), ...defined({ data, type, id }) });
  }

  /**
   * @param {number | undefined} number
   * @param {unknown} value
   */
  note(number, value) {
    this.#notes.push({ number, value: noteOf(value) });
  }

  /**
   * The handler is done: what it said holds for those after it.
   * @param {NativeSaid} said is added to
   */
  commit(said) {
    const { packed } = this;
    if (this.#notes.length > 0) said.notes = this.#notes;
    if (this.#dropped.size > 0) {
      said.dropped = [...this.#dropped].map((index) => packed.number(index, 6));
      for (const index of this.#dropped) packed.dropped.add(index);
    }
    if (this.#replaced.size > 0) {
      said.replaced = [...this.#replaced].map(([index, { data, type, id }]) => ({
        number: packed.number(index, 6),
        data,
        // In the stream that is no type at all.
        type: type === MESSAGE ? '' : type,
        id,
      }));
      for (const [index, change] of this.#replaced) packed.changes.set(index, { ...packed.changes.get(index), ...change });
    }
  }
}

/** One event. Its fields are looked up when they are asked for. */
class Event {
  #draft;
  #place;

  /**
   * @param {Draft} draft
   * @param {number} place in the batch as it came
   */
  constructor(draft, place) {
    this.#draft = draft;
    this.#place = place;
  }

  get index() {
    return this.#draft.packed.number(this.#place, 6);
  }

  get type() {
    const { packed } = this.#draft;
    return packed.changes.get(this.#place)?.type ?? (packed.part(this.#place, 1) || MESSAGE);
  }

  get data() {
    const { packed } = this.#draft;
    return packed.changes.get(this.#place)?.data ?? packed.part(this.#place, 0);
  }

  get id() {
    const { packed } = this.#draft;
    return packed.changes.get(this.#place)?.id ?? packed.part(this.#place, 2);
  }

  get retry() {
    const retry = this.#draft.packed.number(this.#place, 8);
    return retry < 0 ? null : retry;
  }

  get at() {
    return this.#draft.packed.number(this.#place, 7);
  }

  json() {
    return JSON.parse(this.data);
  }

  drop() {
    this.#draft.drop(this.#place);
  }

  /** @param {string | EventChange} change */
  replace(change) {
    this.#draft.replace(this.#place, change);
  }

  /** @param {unknown} value */
  annotate(value) {
    this.#draft.note(this.index, value);
  }

  toJSON() {
    const { index, type, data, id, retry, at } = this;
    return { index, type, data, id, retry, at };
  }
}

/** A batch as one handler sees it. */
class EventBatch {
  #draft;
  /** @type {number[]} places of those that are there */
  #there = [];

  /**
   * @param {Draft} draft
   * @param {import('../../index.js').InterceptedExchange} exchange
   */
  constructor(draft, exchange) {
    this.#draft = draft;
    this.exchange = exchange;
    const { count, dropped } = draft.packed;
    for (let place = 0; place < count; place++) if (!dropped.has(place)) this.#there.push(place);
  }

  get length() {
    return this.#there.length;
  }

  /** @param {number} index */
  at(index) {
    const place = this.#there.at(index);
    return place === undefined ? undefined : new Event(this.#draft, place);
  }

  *[Symbol.iterator]() {
    for (const place of this.#there) yield new Event(this.#draft, place);
  }

  /** @param {unknown} value */
  annotate(value) {
    this.#draft.note(undefined, value);
  }
}

/** @param {EventChange} change */
function defined(change) {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

/**
 * @param {unknown} value
 * @returns {string} JSON
 */
function noteOf(value) {
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError('annotate() takes what JSON can say');
  return json;
}

exports.Packed = Packed;
exports.Draft = Draft;
exports.EventBatch = EventBatch;
exports.noteOf = noteOf;
