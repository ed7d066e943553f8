"""River models per account: score, learn, pack, unpack."""
