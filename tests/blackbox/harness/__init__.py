"""What the black-box tests share: a raw WAMP client, and a router process to talk to."""
