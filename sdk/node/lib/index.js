'use strict';
// Actors of Kelpie in Node.js: workers that host them (Actor, run), and a client (Client).
const errors = require('./errors');
const { Actor, Abandoned } = require('./actor');
const { Client } = require('./client');
const { run } = require('./worker');

module.exports = { Abandoned, Actor, Client, KelpieError: errors.KelpieError, Fail: errors.Fail, errors, run };
