// Reports where PowerShell scripts break the language's syntax: one line
// "file:line:column: what" for each fault, exit code 1 when there is any, 2 when
// the checker itself cannot work. It proves syntax and nothing else.
//
//   node --liftoff-only check.mjs MODULES SCRIPT...
//
// The option spares a compiler run that takes many times longer than the work.
// MODULES is the node_modules folder that `npm ci` made from the lock file
// beside this script.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';

const [modules, ...scripts] = process.argv.slice(2);
const modulesDir = path.resolve(modules);
const require = createRequire(path.join(modulesDir, 'x.js'));
const {Parser, Language} = require('web-tree-sitter');

await Parser.init();
const parser = new Parser();
parser.setLanguage(await Language.load(path.join(modulesDir, 'tree-sitter-powershell', 'tree-sitter-powershell.wasm')));

let faults = 0;
for (const script of scripts) {
  const tree = parser.parse(readFileSync(script, 'utf8').replace(/^\uFEFF/, ''));
  const walk = node => {
    if (node.isError || node.isMissing) {
      faults++;
      const at = node.startPosition;
      const text = node.isMissing ? `missing ${node.type}` : `cannot read ${JSON.stringify(node.text.slice(0, 60))}`;
      console.log(`${script}:${at.row + 1}:${at.column + 1}: ${text}`);
    }
    if (node.hasError) node.children.forEach(walk);
  };
  walk(tree.rootNode);
}
process.exit(faults ? 1 : 0);
