#!/usr/bin/env bash
# A bit of a key in data.mdb flips: the row is found no more where it was. That is not a state of fewer
# rows, it is corrupt: nobody is told 0, and the check names the actor.
. "${KELPIE_SOURCE:?}/tests/lib/cluster.bash" || exit 1

flip() { # TEXT IN A KEY, WITH A BIT WRONG: everywhere in the file
    LC_ALL=C sed -i "s/$1/$2/g" "$work/data/store/data.mdb"
}
store_is_gone() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        ! tr '\0' ' ' 2>/dev/null <"$file" | grep -qF -- "--store-process $work/" || return 1
    done
}
stop_all() {
    kill "${supervisor[n1]}"
    node_ended n1
    kill_store
    within 5 store_is_gone
}

nodes_up n1
for id in whole lost moved; do
    is "add to $id" "$(ask n1 call counter/$id add 5)" 5
done
stop_all
# In a tuple a text is 02 text 00, bytes are 01 bytes 00.
flip 'lost\x00\x02k\x00\x01value' 'lost\x00\x02o\x00\x01value'
flip 'moved\x00\x02h\x00' 'moved\x00\x02i\x00'
says 1 'state/counter/lost/h: it counts 1 state rows, but there are 0' \
    "$kelpie" store check --store "lmdb:$work/data/store"
says 1 'state/counter/moved/h: there is none, but 1 state rows' \
    "$kelpie" store check --store "lmdb:$work/data/store"
nodes_up n1
is "what was not touched" "$(ask n1 call counter/whole get)" 5
corrupt() { # ID WHY
    request n1 POST "/v1/actors/counter/$1/get"
    is "status of $1" "$code" 500
    like "answer of $1" "$(cat "$work/body")" "\"error\":\"store_corrupt\",\"message\":\".*$2"
}
corrupt lost 'the state of counter/lost is not whole: 0 rows, 1 by its head row'
corrupt moved 'counter.*moved'
