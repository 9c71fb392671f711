// Queries that @jetstreamapp/soql-parser-js does not understand: a JSON list of texts in, a list of [text, why] out.
import { readFileSync } from "node:fs";
import { parseQuery } from "@jetstreamapp/soql-parser-js";

const wrong = [];
for (const soql of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    if (!parseQuery(soql).sObject) wrong.push([soql, "no object"]);
  } catch (error) {
    wrong.push([soql, String(error.message).slice(0, 200)]);
  }
}
process.stdout.write(JSON.stringify(wrong));
