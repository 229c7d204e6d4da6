// csaf.mjs LIBRARY FILE…: holds CSAF documents against the schema, the mandatory and the optional tests of CSAF 2.0.
// Prints a line of JSON for each file.
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
for (const file of files) {
  const result = await validate(tests, JSON.parse(readFileSync(file, "utf8")));
  const found = result.tests.flatMap((test) =>
    [...test.errors, ...test.warnings].map((error) => `${test.name}: ${error.instancePath}: ${error.message}`),
  );
  console.log(JSON.stringify({ file, tests: result.tests.length, found }));
}
