"""Purses that pay each other, and clerks that move money between them (docs/testing-your-actors.md). With `bug` behind
its name a clerk moves money by two calls, as if the two were one: what comes between them loses money."""
import sys

from kelpie import Actor, method, run

BUG = "bug" in sys.argv[1:]


class Purse(Actor):
    def add(self, amount):
        self.state["balance"] = str(int(self.state.get("balance", "0")) + amount)
        return self.state["balance"]

    @method
    def balance(self):
        return self.state.get("balance", "0")

    @method
    def give(self, amount):
        return self.add(int(amount))

    @method
    def take(self, amount):
        return self.add(-int(amount))

    @method
    def pay(self, order):
        # One commit: what leaves here is in the message, and the message comes once.
        amount, to = order.split()
        self.send("purse", to, "give", amount)
        return self.add(-int(amount))


class Clerk(Actor):
    @method
    def move(self, order):
        amount, giver, taker = order.split()
        if BUG:
            self.call("purse", giver, "take", amount)
            self.call("purse", taker, "give", amount)
        else:
            self.call("purse", giver, "pay", amount + " " + taker)
        return "moved"


run(Purse, Clerk)
