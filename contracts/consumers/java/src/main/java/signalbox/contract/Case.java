package signalbox.contract;

/**
 * One case of the contract.
 *
 * @param skipped why it cannot run, or null
 */
record Case(String group, String name, Body body, String skipped) {
    /** Returns where the case holds, throws where it does not. */
    interface Body {
        void run(Platform platform) throws Exception;
    }

    static Case of(String group, String name, Body body) {
        return new Case(group, name, body, null);
    }

    static Case skipped(String group, String name, String why) {
        return new Case(group, name, null, why);
    }
}
