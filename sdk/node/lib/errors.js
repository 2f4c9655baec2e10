'use strict';
// Errors by the table of docs/http-api.md: each name has a class, `unknown_type` is UnknownType.

// name: HTTP status, whether the same request id may be sent again, whether it was applied
const TABLE = {
  invalid: [400, false, 'no'],
  too_large: [413, false, 'no'],
  not_found: [404, false, 'no'],
  unknown_type: [404, true, 'no'],
  unknown_method: [404, false, 'no'],
  method_not_allowed: [405, false, 'no'],
  refused: [409, false, 'no'],
  handler_failed: [500, true, 'no'],
  state_full: [507, false, 'no'],
  mailbox_full: [429, true, 'no'],
  node_full: [503, true, 'no'],
  unavailable: [503, true, 'no'],
  unreachable: [503, true, 'unknown'],
  unknown_result: [504, true, 'unknown'],
  timeout: [504, true, 'no'],
  applied_reply_not_kept: [200, false, 'yes'],
  not_here: [503, true, 'no'],
  cancelled: [503, true, 'unknown'],
  conflict: [503, true, 'no'],
  too_old: [503, true, 'no'],
  store_unavailable: [503, true, 'no'],
  store_full: [507, true, 'no'],
  store_corrupt: [500, false, 'no'],
  store_newer: [500, false, 'no'],
  store_foreign: [409, false, 'no'],
  protocol: [400, false, 'no'],
  version: [400, false, 'no'],
  limit: [503, true, 'no'],
  io: [500, false, 'unknown'],
  alive: [409, false, 'no'],
  forbidden: [403, false, 'no'],
  too_late: [409, false, 'unknown'],
  request_id_reused: [409, false, 'no'],
  too_many: [429, true, 'no'],
  call_cycle: [409, false, 'no'],
  call_depth: [409, false, 'no'],
  domain_error: [422, false, 'no'],
  class_older: [503, true, 'no'],
  poisoned: [503, false, 'no'],
};

// What a node or an actor answered instead of a reply. `error` is its name in the table, `sentence` is for people,
// `retry` says whether the same request id may be sent again, and `applied` whether what was asked for was done: 'no',
// 'unknown' or 'yes'.
class KelpieError extends Error {
  constructor(sentence = '', error = 'io') {
    super(sentence ? `${error}: ${sentence}` : error);
    this.name = this.constructor.name;
    this.sentence = sentence;
    this.error = error;
    [this.status, this.retry, this.applied] = TABLE[error] || [500, false, 'unknown'];
  }
}

// A domain error: the actor understood, and says no. An actor throws it, and who called catches it. `code` is for programs: 1
// to 64 of a-z, 0-9, _ and -.
class Fail extends KelpieError {
  constructor(code, sentence = '') {
    super(sentence, 'domain_error');
    this.message = sentence ? `${code}: ${sentence}` : code;
    this.code = code;
  }
}

const className = (name) => name.split('_').map((w) => w[0].toUpperCase() + w.slice(1)).join('');
const byName = {};
for (const name of Object.keys(TABLE)) {
  const made = { [className(name)]: class extends KelpieError {
    constructor(sentence) {
      super(sentence, name);
    }
  } };
  byName[name] = name === 'domain_error' ? Fail : made[className(name)];
}

// The error of that name; one that this version does not know is a KelpieError with the name as `error`.
function make(name, sentence = '', code = '', retry = undefined, applied = undefined) {
  if (name === 'domain_error') return new Fail(code, sentence);
  const made = byName[name] ? new byName[name](sentence) : new KelpieError(sentence, name);
  if (retry !== undefined) made.retry = retry;
  if (applied !== undefined) made.applied = applied;
  return made;
}

module.exports = { TABLE, KelpieError, Fail, make };
for (const name of Object.keys(byName)) module.exports[className(name)] = byName[name];
