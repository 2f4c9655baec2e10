#include "env/env.h"

void env_init(struct env *env)
{
    list_init(&env->txn_list);
    env->txns = &env->txn_list;
    env->corrupt = &env->corrupt_count;
    env->store_news = &env->store_news_kept;
}
