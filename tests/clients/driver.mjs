// What the drivers in JavaScript share: where the sandbox is, and a line of JSON about every call.
import { createRequire } from "node:module";

export const PLACE = JSON.parse(process.env.SANDBOX_PLACE);
// Modules are looked for where the test has installed them, and not beside this file.
export const load = createRequire(`${process.cwd()}/`);

export async function run(name, call) {
  let answer = null;
  let failed = null;
  try {
    answer = await call();
    if (answer?.error) failed = JSON.stringify(answer);
  } catch (error) {
    failed = `${error}`;
  }
  console.log(JSON.stringify({ call: name, failed }));
  return answer;
}
