# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# fish completion for all commands.  Options and their values come from the command's own option
# table (--list-options); device ids and names from the POOL that is on the line already.

# The first word of the line that is a file.
function __thin_pool_tools_pool
    for w in (commandline -opc)[2..-1]
        set w (string replace -r '^--[^=]*=' '' -- $w)
        set w (string replace -r '^~/' "$HOME/" -- $w)
        if test -f "$w" -o -b "$w" -o -d "$w"
            echo $w
            return
        end
    end
end

# a command from the folder of the one on the line
function __thin_pool_tools_command
    set -l command (commandline -opc)[1]
    if string match -q '*/*' -- $command
        string replace -r '[^/]*$' $argv[1] -- $command
    else
        echo $argv[1]
    end
end

# names of the lines of a table file, or of what is on a disk with LVM, as VG/LV, too, where the word has a slash:
# POOL thin|thin-pool
function __thin_pool_tools_names
    set -l lvm (__thin_pool_tools_command thin_lvm)
    begin
        test -f "$argv[1]"; and head -c 65536 -- $argv[1] 2>/dev/null | tr -d '\0'
        timeout 2 $lvm -q -- $argv[1] 2>/dev/null
    end | LC_ALL=C awk -v kind=$argv[2] -v word=(commandline -ct) '
        /^# volume group / { vg = $4; sub(/,.*/, "", vg) }
        $1 ~ /^[^:#]+:$/ && $2 $3 ~ /^[0-9]+$/ && $4 == kind {
            name = substr($1, 1, length($1) - 1)
            print name
            if (vg != "" && index(word, "/"))
                print vg "/" name
        }'
end

function __thin_pool_tools_devices
    set -l pool (__thin_pool_tools_pool)
    test -n "$pool"; or return
    set -l ls (__thin_pool_tools_command thin_ls)
    __thin_pool_tools_names $pool thin
    timeout 2 $ls --no-headers -o DEV $pool 2>/dev/null | tr -d ' '
    test -f "$pool"; and head -c 1048576 -- $pool 2>/dev/null | tr -d '\0' |
        sed -n 's/.*<device dev_id="\([0-9]*\)".*/\1/p'
end

function __thin_pool_tools_pools
    set -l pool (__thin_pool_tools_pool)
    test -n "$pool"; and __thin_pool_tools_names $pool thin-pool
end

# Is the word under the cursor argument number $argv[1], as far as words without dashes tell?
function __thin_pool_tools_argument
    test (count (string match -v -- '-*' (commandline -opc)[2..-1])) -ge $argv[1]
end

for command in thin_apply thin_check thin_delta thin_dump thin_info thin_ls thin_lvm thin_materialize thin_message \
        thin_metadata_pack thin_metadata_size thin_metadata_unpack thin_migrate thin_repair \
        thin_restore thin_rmap thin_shrink thin_trim
    command -q $command; or continue
    $command --list-options 2>/dev/null | while read -d \t name letter arg value help
        string match -q -- '--*' $name; or continue
        set -l spec -l (string sub -s 3 -- $name) -d $help
        test "$letter" != -; and set spec $spec -s (string sub -s 2 -- $letter)
        # a letter with a value that may be missing is offered, its value is not
        test $arg = required; and set spec $spec -r
        if test $arg != none
            switch $value
                case 'FIELDS*'
                    set spec $spec -f -a "json tree ($command --list-fields)"
                case '*FIELD'
                    set spec $spec -f -a "($command --list-fields)"
                case '*|*'
                    set spec $spec -f -a (string replace -a '|' ' ' -- $value)
                case raw
                    set spec $spec -f -a raw
                case '*ID' DEVICE
                    set spec $spec -f -a '(__thin_pool_tools_devices)'
                case NAME
                    set spec $spec -f -a '(__thin_pool_tools_pools)'
                case FILE DEV POOL
                    set spec $spec -F
                case '*'
                    set spec $spec -f
            end
        end
        complete -c $command $spec
    end
end
complete -c thin_apply -n '__thin_pool_tools_argument 1' -a '(__thin_pool_tools_devices)'
complete -c thin_materialize -n '__thin_pool_tools_argument 1' -a '(__thin_pool_tools_devices)'
complete -c thin_message -f -n '__thin_pool_tools_argument 1' \
    -a 'create_thin create_snap delete set_transaction_id reserve_metadata_snap release_metadata_snap (__thin_pool_tools_devices)'
