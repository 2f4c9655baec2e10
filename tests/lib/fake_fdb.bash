# A library with the names of FoundationDB's client, built for a test. Source it after cluster.bash; sets
# `library` and `cluster` (a cluster file). The database is in the memory of each process; with
# FAKE_FDB_FILE in a file that they share.
unset FDB_CLUSTER_FILE
library=$work/libfake.so
# A sanitizer that the programs were built with, the library may need too.
${CC:-cc} -shared -fPIC -g -O1 -pthread -D_GNU_SOURCE ${FAKE_CFLAGS-} -o "$library" \
    "$KELPIE_SOURCE/tests/fake/fdb_client.c" || exit 1
cluster=$work/fdb.cluster
printf '# made by a test\ntest:abc1@127.0.0.1:4500\n' >"$cluster"
