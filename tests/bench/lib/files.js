'use strict';
// Where the programs of this build are, and files written for those under test.
const fs = require('node:fs');
const path = require('node:path');

const build = path.resolve(process.env.TIDEGATE_BUILD);
const program = (name) => path.join(build, name);

function write(dir, name, text) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, text);
  return file;
}

module.exports = { program, write };
