#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Includes go only downward: volume -> pool -> pdata -> dev -> base; cli needs only base.
cd "${srcdir:-.}" || exit 99
n=0
result() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }

below() {
	case $1 in
	base) echo base ;;
	dev) echo 'base|dev' ;;
	pdata) echo 'base|dev|pdata' ;;
	pool) echo 'base|dev|pdata|pool' ;;
	volume) echo 'base|dev|pdata|pool|volume' ;;
	cli) echo 'base|cli' ;;
	esac
}

for layer in base dev pdata pool volume cli; do
	bad=$(grep -rHn --include='*.[ch]' '^#include "' lib/$layer | grep -Ev "#include \"($(below $layer))/([a-z0-9_]+/)?[a-z0-9_]+\.h\"")
	[ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
	[ -z "$bad" ]
	result $? "lib/$layer includes only what lies below it"
done
if grep -rn '^#include "' bin nbdkit 2>/dev/null | grep -E '"(bin|nbdkit|tests)/' | sed 's/^/# /' | grep .; then r=1; else r=0; fi
result $r "no command includes another command"
if grep -rHn --include='*.[ch]' '"tests/' lib | sed 's/^/# /' | grep .; then r=1; else r=0; fi
result $r "the library does not know its tests"
if grep -rHn --include='*.c' 'pthread_create\|thrd_create' lib bin | grep -v '^lib/base/jobs.c' | sed 's/^/# /' | grep .; then r=1; else r=0; fi
result $r "only jobs makes threads"
if grep -rHnE --include='*.c' '\b(printf|puts|perror|exit|abort)\(' lib/base lib/dev lib/pdata lib/pool lib/volume | sed 's/^/# /' | grep .; then r=1; else r=0; fi
result $r "libraries never print and never exit"
echo "1..$n"
