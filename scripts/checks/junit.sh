# Sourced by scripts that are stages of scripts/test.sh.

escape_xml() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g' | tr -d '\000-\010\013\014\016-\037'; }

# junit_cases STAGE CASE...: runs the function run_CASE for each, one test case
# each in build/reports/STAGE.xml. Its output goes to build/logs/STAGE-CASE.log;
# that of one that fails is shown and reported, of one that passes the last line.
junit_cases() {
  local stage=$1 failures=0 name log start status cases=''
  shift
  mkdir -p build/reports
  for name in "$@"; do
    log=build/logs/$stage-$name.log start=$SECONDS status=0
    "run_$name" >"$log" 2>&1 </dev/null || status=$?
    cases+=$(printf '<testcase classname="%s" name="%s" time="%d">' "$stage" "$name" $((SECONDS - start)))
    if [ $status = 0 ]; then
      say "$name: $(tail -n 1 "$log" | grep . || echo nothing found)"
    else
      failures=$((failures + 1))
      cat "$log" >&2
      say "$name: failed"
      cases+=$(printf '<failure message="exit status %d">%s</failure>' "$status" "$(tail -c 100000 "$log" | escape_xml)")
    fi
    cases+=$'</testcase>\n'
  done
  printf '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="%s" tests="%d" failures="%d">\n%s</testsuite></testsuites>\n' \
    "$stage" $# "$failures" "$cases" >"build/reports/$stage.xml"
  [ "$failures" = 0 ]
}
