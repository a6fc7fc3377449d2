"""Starts the worker; the server runs this file with the interpreter of the agent."""

if __name__ == "__main__":
    from fastagentic.worker import main

    main()
