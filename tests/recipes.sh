#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The recipes of doc/recipes.md, and what the picture of a terminal shows, run as README.md's commands are (readme.sh [--write]).
DOC="doc/recipes.md doc/pictures/terminal.md" exec sh "${abs_top_srcdir:-$(dirname "$0")/..}/tests/readme.sh" "$@"
