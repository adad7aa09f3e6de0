// In place of the package pkcs11js, loaded before everything else by NODE_OPTIONS: a PKCS #11 library as one of our
// processes sees it, with one token and one key. What it gets wrong on purpose stands in the file PKCS11_STAND_IN. A
// signature is the number of the process that made it; PKCS11_STAND_IN.pid has that of the last one that began.
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const Module = require('node:module');

const handle = Buffer.alloc(8);

/** A call that never returns. */
function hang() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function moodIs(mood) {
  return readFileSync(process.env.PKCS11_STAND_IN, 'utf8') === mood;
}

class PKCS11 {
  load() {
    writeFileSync(`${process.env.PKCS11_STAND_IN}.pid`, String(process.pid));
  }
  close() {}
  C_Initialize() {
    if (moodIs('hanging when opened')) hang();
  }
  C_Finalize() {}
  C_GetSlotList() {
    return [handle];
  }
  C_GetTokenInfo() {
    return { label: 'stand-in' };
  }
  C_OpenSession() {
    return handle;
  }
  C_Login() {}
  C_FindObjectsInit() {}
  C_FindObjects() {
    return [handle];
  }
  C_FindObjectsFinal() {}
  C_SignInit() {
    if (moodIs('hanging')) hang();
  }
  C_SignAsync() {
    if (moodIs('hanging in a thread')) return new Promise(() => undefined);
    return Promise.resolve(Buffer.from(String(process.pid)));
  }
}

const load = Module._load;
Module._load = function loadStandIn(request, ...rest) {
  return request === 'pkcs11js'
    ? { CK_PARAMS_RSA_PSS: 2, PKCS11 }
    : load.call(this, request, ...rest);
};
