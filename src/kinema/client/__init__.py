"""A client of the live service, for threads (`kinema.client.client.Client`) and for asyncio (`kinema.client.async_client.AsyncClient`)."""
