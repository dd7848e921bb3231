#!/usr/bin/env python3
"""Fills the second column of postgres.tsv with what PostgreSQL 15 answers: python3 postgres_golden.py [psql options].

Each line is an expression, a tab, and its value as text, NULL, or "!" and the SQLSTATE of its error. \\\\ and \\n stand for a
backslash and a line end, and \\e closes a value that is empty or ends with a blank. The database must be UTF-8; the session's time zone is set to UTC here.
"""
import pathlib
import subprocess
import sys

FUNCTION = """
SET timezone = 'UTC';
CREATE OR REPLACE FUNCTION pg_temp.answer(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE 'SELECT (' || expression || ')::text' INTO result;
  RETURN coalesce(replace(replace(result, E'\\\\', E'\\\\\\\\'), E'\\n', E'\\\\n'), 'NULL');
EXCEPTION WHEN OTHERS THEN
  RETURN '!' || SQLSTATE;
END $$;
"""

path = pathlib.Path(__file__).with_name("postgres.tsv")
lines = [line.split("\t")[0] for line in path.read_text().splitlines()]
script = FUNCTION
for line in lines:
    if line and not line.startswith("#"):
        script += "SELECT pg_temp.answer(%s);\n" % ("E'" + line.replace("\\", "\\\\").replace("'", "\\'") + "'")
answers = subprocess.run(["psql", "-qAt", "-v", "ON_ERROR_STOP=1", *sys.argv[1:]], input=script, text=True, check=True,
                         capture_output=True).stdout.splitlines()
out = []
for line in lines:
    if not line or line.startswith("#"):
        out.append(line)
        continue
    answer = answers.pop(0)
    out.append(line + "\t" + answer + ("\\e" if not answer or answer.endswith(" ") else ""))
assert not answers
path.write_text("\n".join(out) + "\n")
